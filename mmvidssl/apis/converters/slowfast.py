"""Converter of checkpoints of MaskFeat's released code, PySlowFast.

Models of videos are MViTv2s, and get mmaction2's names. Models of images are its ``MViT`` without
pooling, which is a plain ViT, and get mmpretrain's names.
"""

import os
from collections.abc import Mapping

import yaml
from torch import Tensor

from mmvidssl.utils.roles import BACKBONE
from mmvidssl.utils.vit_names import TO_OURS

from .files import Conversion, Converted, check_tensors, convert_file
from .vit_names import Rules, count_blocks, describe_vit, rename

WEIGHTS = 'model_state'
HEADS: Rules = (
    (r'hogs\..*', ''),  # the fixed filters of HOG
    (r'pred_head\.projections\.0\.(weight|bias)', r'neck.fc.\1'),
    (r'mask_token', r'backbone.\g<0>'),
)
CLASSIFIER = r'head\.projection\.(weight|bias)'
# The final norm of a pretraining model is in its prediction head.
FINAL_NORM = r'(?:pred_head\.transforms\.0\.0|norm)\.(weight|bias)'
NAMES = r'(norm[12]|proj|mlp\.fc[12]|attn\.(qkv|proj|norm_[qkv]))\.(weight|bias)'
MVIT_RULES: Rules = (
    *HEADS,
    (CLASSIFIER, r'cls_head.fc_cls.\1'),
    (FINAL_NORM, r'backbone.norm.\1'),
    (r'cls_token', r'backbone.\g<0>'),
    (r'patch_embed\.proj\.(weight|bias)', r'backbone.patch_embed.projection.\1'),
    (rf'blocks\.\d+\.({NAMES}|attn\.pool_[qkv]\.weight|attn\.rel_pos_[hwt])', r'backbone.\g<0>'),
)
MVIT_NEEDS = (
    *('cls_token', 'patch_embed.projection.weight', 'norm.weight', 'norm.bias'),
    *('blocks.0.norm1.weight', 'blocks.0.attn.qkv.weight', 'blocks.0.attn.pool_q.weight'),
    'blocks.0.attn.rel_pos_h',
)


def convert_slowfast(
    source: str | os.PathLike, target: str | os.PathLike, force: bool = False
) -> Conversion:
    """Convert a checkpoint of MaskFeat's released code to our names.

    Pretraining checkpoints (MViTv2 of videos, ViT of images) give ``backbone.*`` and ``neck.*`` of
    ``MaskFeat``; fine-tuned ones give ``backbone.*`` and ``cls_head.*`` of mmaction2's recognizer,
    or ``backbone.*`` and ``head.*`` of mmpretrain's classifier. Optimizer and schedule are not
    converted: train on with ``load_from``, not with ``resume``.

    See :func:`convert_file` for the arguments and errors.
    """
    return convert_file(source, target, force, (WEIGHTS,), _convert)


def _convert(content: dict) -> Converted:
    key = WEIGHTS if isinstance(content.get(WEIGHTS), Mapping) else 'state_dict'
    check_tensors(key, content[key])
    new = rename_slowfast(content[key], content.get('cfg'))
    meta = {name: content[name] for name in ('epoch',) if isinstance(content.get(name), int)}
    if isinstance(content.get('cfg'), str):
        meta['slowfast_cfg'] = content['cfg']
    rest = [name for name in content if name not in (key, 'epoch', 'cfg')]
    return new._replace(dropped=new.dropped + rest, meta=meta)


def rename_slowfast(state_dict: Mapping[str, Tensor], cfg: object = None) -> Converted:
    """Rename the ``model_state`` of a PySlowFast checkpoint to our names, without copying.

    ``cfg`` is the checkpoint's, as in :func:`describe_mvit`.

    A classifier normalises the mean of its tokens. That is what mmpretrain's
    ``VisionTransformer(out_type='avg_featmap', final_norm=False)`` does, and ``PooledMViT``;
    mmaction2's ``MViT`` normalises tokens before it takes their mean, which is not the same.

    Raises:
        ValueError: names the weights that no model of MaskFeat has, or that are missing.
    """
    is_classifier = any('head.projection.' in key for key in state_dict)
    kind = 'a classifier' if is_classifier else 'MaskFeat'
    if any('.attn.rel_pos_' in key or '.attn.pool_' in key for key in state_dict):
        weights, dropped = rename(state_dict, MVIT_RULES, "MaskFeat's MViT")
        arch = describe_mvit(weights, cfg)
        # mmaction2 numbers the norm by its scale.
        norm = f'backbone.norm{len(arch["arch"]["downscale_indices"])}.'
        weights = {key.replace('backbone.norm.', norm): v for key, v in weights.items()}
        return Converted(weights, f'{kind} of videos (MViT)', arch, dropped, {})
    norm = 'ln2' if is_classifier else 'ln1'  # mmpretrain's norm of the mean, or of tokens
    heads = (*HEADS, (CLASSIFIER, r'head.fc.\1'), (FINAL_NORM, rf'backbone.{norm}.\1'))
    weights, dropped = rename(state_dict, heads, "MaskFeat's ViT", TO_OURS, BACKBONE)
    return Converted(weights, f'{kind} of images (ViT)', describe_vit(weights, norm), dropped, {})


def describe_mvit(weights: Mapping[str, Tensor], cfg: object = None) -> dict:
    """Options that a config must set for the weights of an MViT to fit.

    Args:
        weights: ``backbone.*`` in mmaction2's names, relative positions among them.
        cfg: The checkpoint's, in YAML, whose ``MVIT.POOL_Q_STRIDE`` says which blocks pool.

    Returns:
        ``arch`` and ``dim_mul_in_attention`` as mmaction2's ``MViT`` takes them, and
        ``token_grid``, the tokens ``(t, h, w)`` of the first block. Without a ``cfg`` that says so,
        blocks that pool their queries are guessed among those that grow the width, as in all
        MViTv2. If several of these are adjacent, too early a one may be guessed; pooling in the
        last block is missed where its keys are not pooled.

    Raises:
        ValueError: if weights are missing.
    """
    needs = [f'backbone.{name}' for name in MVIT_NEEDS]
    depth = count_blocks(weights, 'backbone.blocks.', needs, ('proj.weight', 'proj.bias'))
    blocks = [f'backbone.blocks.{index}.' for index in range(depth)]
    widths = [len(weights[block + 'norm1.weight']) for block in blocks]
    attention_widths = [len(weights[block + 'attn.qkv.weight']) // 3 for block in blocks]
    dim_mul = [i for i in range(1, depth) if attention_widths[i] > attention_widths[i - 1]]
    sides = [_side(weights, block, 'h') for block in blocks]
    arch = dict(
        embed_dims=widths[0],
        num_layers=depth,
        num_heads=attention_widths[0] // len(weights[blocks[0] + 'attn.pool_q.weight']),
        downscale_indices=_stated_pooled(cfg) or _find_pooled(sides, dim_mul),
        dim_mul_indices=dim_mul,
    )
    return dict(
        arch=arch,
        dim_mul_in_attention=widths != attention_widths,
        token_grid=tuple(_side(weights, blocks[0], axis) for axis in 'thw'),
    )


def _side(weights: Mapping[str, Tensor], block: str, axis: str) -> int:
    """Side of the block's larger grid, of queries or keys, from ``2 * side - 1`` positions."""
    return (len(weights[f'{block}attn.rel_pos_{axis}']) + 1) // 2


def _stated_pooled(cfg: object) -> list[int]:
    """Blocks that pool their queries in height and width, as a PySlowFast config says."""
    try:
        strides = yaml.safe_load(cfg)['MVIT']['POOL_Q_STRIDE'] if isinstance(cfg, str) else []
        return sorted(block for block, *stride in strides if max(stride[1:]) > 1)
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        return []


def _find_pooled(sides: list[int], candidates: list[int]) -> list[int]:
    """Blocks that output fewer tokens than they take in.

    A block whose keys are not pooled shows the side of its input, so that the next block is looked
    at too.
    """
    pooled, now = [], sides[0]
    for index in candidates:
        after = min(sides[index : index + 2])
        if after < now:
            pooled.append(index)
            now = after
    return pooled
