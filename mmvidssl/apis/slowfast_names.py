"""What PySlowFast calls the weights of MaskFeat's models, and we do.

Of videos: its MViTv2; ours are mmaction2's names. Of images: its ``MViT`` without pooling, which is
a plain ViT; ours are mmpretrain's names.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from mmvidssl.utils.roles import BACKBONE, NECK

from .mvit_shapes import describe_mvit
from .vit_names import describe_vit, rename_vit

HOG = 'the fixed filters of HOG, which are no weights'
MASK_TOKEN = 'mask_token'
FINAL_NORMS = ('norm', 'pred_head.transforms.0.0')
PREDICTION, CLASSIFIER = 'pred_head.projections.0', 'head.projection'
MVIT_NAME = re.compile(r'cls_token|mask_token|(patch_embed\.projection|norm)\.(weight|bias)')
MVIT_BLOCK = re.compile(
    r'blocks\.(?P<index>\d+)\.(?P<rest>'
    r'(norm1|norm2|proj|mlp\.fc[12]|attn\.(qkv|proj|norm_[qkv]))\.(weight|bias)'
    r'|attn\.pool_[qkv]\.weight|attn\.rel_pos_[hwt])'
)
MVIT_NEEDS = ('cls_token', 'patch_embed.projection.weight', 'norm.weight', 'norm.bias')
MVIT_BLOCK_NEEDS = ('norm1.weight', 'attn.qkv.weight', 'attn.pool_q.weight', 'attn.rel_pos_h')
KINDS = {  # (of videos, with a classifier)
    (True, False): 'MaskFeat of videos (MViT)',
    (True, True): 'a classifier of videos (MViT)',
    (False, False): 'MaskFeat of images (ViT)',
    (False, True): 'a classifier of images (ViT)',
}


class SlowFastWeights(NamedTuple):
    """The weights of one of PySlowFast's models in our names."""

    weights: dict[str, Tensor]
    """``backbone.*`` and, of a pretraining model, ``neck.fc.*`` (the prediction); of a classifier,
    ``cls_head.fc_cls.*`` (mmaction2's, of videos) or ``head.fc.*`` (mmpretrain's, of images)."""
    dropped: dict[str, str]
    """Names left out, as in the file, and why."""
    kind: str
    """What it is a model of, in words."""
    arch: dict
    """What a config must say, see :func:`describe_mvit` and :func:`describe_vit`."""


def rename_slowfast(state_dict: Mapping[str, Tensor]) -> SlowFastWeights:
    """The ``model_state`` of a PySlowFast checkpoint -> our names; tensors are not copied.

    The final norm of a pretraining model belongs to PySlowFast's prediction head, and to our
    backbone. A classifier normalises the mean of its tokens. That is what mmpretrain's
    ``VisionTransformer(out_type='avg_featmap', final_norm=False)`` does, and ``PooledMViT``;
    mmaction2's ``MViT`` normalises tokens before it takes their mean, which is not the same.

    Raises:
        ValueError: names the weights that no model of MaskFeat has, or that are missing.
    """
    weights = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    of_videos = any('.attn.rel_pos_' in key or '.attn.pool_' in key for key in weights)
    is_classifier = f'{CLASSIFIER}.weight' in weights
    heads = {PREDICTION: f'{NECK}fc', CLASSIFIER: 'cls_head.fc_cls' if of_videos else 'head.fc'}
    ours, dropped, rest = {}, {}, {}
    for key, value in weights.items():
        module, _, tensor = key.rpartition('.')
        if key.startswith('hogs.'):
            dropped[key] = HOG
        elif module in heads:
            ours[f'{heads[module]}.{tensor}'] = value
        else:
            name = f'norm.{tensor}' if module in FINAL_NORMS else key
            if name in rest:
                raise ValueError(f'there are two final norms: {key}, and another of {FINAL_NORMS}')
            rest[name] = value
    rename = _rename_mvit if of_videos else _rename_vit
    backbone, arch = rename(rest, is_classifier)
    ours.update({BACKBONE + key: value for key, value in backbone.items()})
    return SlowFastWeights(ours, dropped, KINDS[of_videos, is_classifier], arch)


def _rename_mvit(weights: dict[str, Tensor], is_classifier: bool) -> tuple[dict[str, Tensor], dict]:
    """All keep their names but the patch embedding and the norm, which is numbered by its scale."""
    backbone, unknown = {}, []
    for key, value in weights.items():
        name = key.replace('patch_embed.proj.', 'patch_embed.projection.')
        if MVIT_NAME.fullmatch(name) or MVIT_BLOCK.fullmatch(name):
            backbone[name] = value
        else:
            unknown.append(key)
    _refuse('have names that no MViT of MaskFeat has', unknown)
    _refuse('of an MViT of MaskFeat are missing', _missing_of_mvit(backbone))
    arch = describe_mvit(backbone)
    scale = len(arch['arch']['downscale_indices'])
    return {re.sub(r'^norm\.', f'norm{scale}.', k): v for k, v in backbone.items()}, arch


def _missing_of_mvit(backbone: Mapping[str, Tensor]) -> list[str]:
    blocks: dict[int, set[str]] = {}
    for key in backbone:
        if match := MVIT_BLOCK.fullmatch(key):
            blocks.setdefault(int(match['index']), set()).add(match['rest'])
    usual = set(MVIT_BLOCK_NEEDS).union(*blocks.values()) - {'proj.weight', 'proj.bias'}
    return [name for name in MVIT_NEEDS if name not in backbone] + [
        f'blocks.{index}.{rest}'
        for index in range(max(blocks, default=0) + 1)
        for rest in sorted(usual - blocks.get(index, set()))
    ]


def _rename_vit(weights: dict[str, Tensor], is_classifier: bool) -> tuple[dict[str, Tensor], dict]:
    """As any ViT; the norm of a classifier comes after the mean, where mmpretrain's is ``ln2``."""
    backbone = rename_vit({k: v for k, v in weights.items() if k != MASK_TOKEN}).backbone
    arch = describe_vit(backbone, {})
    if is_classifier:
        backbone = {re.sub(r'^ln1\.', 'ln2.', key): value for key, value in backbone.items()}
    if MASK_TOKEN in weights:
        backbone[MASK_TOKEN] = weights[MASK_TOKEN]
    return backbone, arch


def _refuse(what: str, names: list[str]) -> None:
    if names:
        shown = ', '.join(names[:8]) + (' ...' if len(names) > 8 else '')
        raise ValueError(f'{len(names)} weights {what}: {shown}. Is it another architecture?')
