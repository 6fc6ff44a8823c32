"""What the released self-supervised code calls the weights of a ViT and its projection, and we do.

The code of DINO, DoRA, iBOT and DINOv2 descends from timm's ViT; ours are mmpretrain's names.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

TENSORS = {'cls_token': 'cls_token', 'pos_embed': 'pos_embed'}
MODULES = {'patch_embed.proj': 'patch_embed.projection', 'norm': 'ln1'}
BLOCK = re.compile(r'blocks\.(?:\d+\.)?(?P<index>\d+)\.(?P<rest>.+)')  # DINOv2 may store in chunks
BLOCK_MODULES = {
    'norm1': 'ln1',
    'norm2': 'ln2',
    'attn.qkv': 'attn.qkv',
    'attn.proj': 'attn.proj',
    'mlp.fc1': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
    'mlp.w12': 'ffn.w12',  # SwiGLU
    'mlp.w3': 'ffn.w3',
}
BLOCK_TENSORS = {  # layer scale: iBOT's names, and DINOv2's
    'gamma_1': 'attn.gamma1.weight',
    'gamma_2': 'ffn.gamma2.weight',
    'ls1.gamma': 'attn.gamma1.weight',
    'ls2.gamma': 'ffn.gamma2.weight',
}
PROJECTION = re.compile(r'mlp\.(?:(?P<index>\d+)\.)?(?P<tensor>\w+)')
PROTOTYPES = {
    'last_layer.weight_g': 'last_layer.parametrizations.weight.original0',
    'last_layer.weight_v': 'last_layer.parametrizations.weight.original1',
}
DROPPED = {
    'mask_token': 'what masked patches look like to iBOT and DINOv2; a DINO student masks none',
    'masked_embed': 'what masked patches look like to iBOT; a DINO student masks none',
}
PATCH_HEAD = "iBOT's projection of patches; a DINO student predicts class tokens"
REFUSED = {
    'register_tokens': "mmpretrain's VisionTransformer has no register tokens (the class token is "
    'its only extra token)',
}
# What a block must have, whatever else it has.
BLOCK_NEEDS = ('ln1.weight', 'attn.qkv.weight', 'attn.proj.weight', 'ln2.weight')
NEEDS = ('cls_token', 'pos_embed', 'patch_embed.projection.weight', 'ln1.weight')


class ViTWeights(NamedTuple):
    """The weights of one network in our names, each part without a prefix."""

    backbone: dict[str, Tensor]
    neck: dict[str, Tensor]
    dropped: dict[str, str]
    """Names left out, as in the file, and why."""


def rename_vit(weights: Mapping[str, Tensor]) -> ViTWeights:
    """Weights of a released network -> ours.

    Args:
        weights: A backbone alone, or ``backbone.*`` with ``head.*`` (DINOv2: ``dino_head.*``), each
            perhaps behind ``module.``.

    Raises:
        ValueError: names the weights that no ViT of that family has, or that mmpretrain's ViT
            cannot hold, or that are missing.
    """
    parts = ViTWeights({}, {}, {})
    unknown = []
    for key, value in weights.items():
        part, name = _split(key.removeprefix('module.'))
        if name in REFUSED:
            raise ValueError(f'{key} cannot be converted: {REFUSED[name]}')
        reason = PATCH_HEAD if part == 'patch head' else DROPPED.get(name)
        ours = None if reason else _our_name(part, name)
        if reason:
            parts.dropped[key] = reason
        elif ours is None:
            unknown.append(key)
        else:
            (parts.neck if part == 'neck' else parts.backbone)[ours] = value
    if unknown:
        raise ValueError(_explain_unknown(unknown, len(weights)))
    _check_complete(parts.backbone)
    return parts


def describe_vit(backbone: Mapping[str, Tensor], neck: Mapping[str, Tensor]) -> dict:
    """What a config must say for these weights to fit, as far as their shapes tell.

    The number of heads does not show in them.
    """
    dims, _, patch_size, _ = backbone['patch_embed.projection.weight'].shape
    side = (backbone['pos_embed'].shape[1] - 1) ** 0.5
    found = dict(
        embed_dims=dims,
        num_layers=len(_blocks(backbone)),
        patch_size=patch_size,
        ffn='swiglu_fused' if 'layers.0.ffn.w12.weight' in backbone else 'origin',
        layer_scale='layers.0.attn.gamma1.weight' in backbone,
        qkv_bias='layers.0.attn.qkv.bias' in backbone,
    )
    if side.is_integer():
        found['img_size'] = int(side) * patch_size
    if 'layers.0.ffn.layers.0.0.weight' in backbone:
        found['feedforward_channels'] = len(backbone['layers.0.ffn.layers.0.0.weight'])
    if neck:
        found['num_prototypes'] = len(neck[PROTOTYPES['last_layer.weight_v']])
    return found


def _split(key: str) -> tuple[str, str]:
    """Part and name of a weight; without a prefix it is the backbone's."""
    if key.startswith('backbone.'):
        return 'backbone', key.removeprefix('backbone.')
    if key.startswith('ibot_head.') or re.match(r'head\.(mlp2|last_layer2)\.', key):
        return 'patch head', key
    for prefix in ('head.', 'dino_head.'):
        if key.startswith(prefix):
            return 'neck', key.removeprefix(prefix)
    return 'backbone', key


def _our_name(part: str, name: str) -> str | None:
    if part == 'neck':
        return _neck_name(name)
    if match := BLOCK.fullmatch(name):
        rest = _renamed(match['rest'], BLOCK_TENSORS, BLOCK_MODULES)
        return rest and f'layers.{match["index"]}.{rest}'
    return _renamed(name, TENSORS, MODULES)


def _renamed(name: str, tensors: dict[str, str], modules: dict[str, str]) -> str | None:
    module, _, tensor = name.rpartition('.')
    if module in modules and tensor in ('weight', 'bias'):
        return f'{modules[module]}.{tensor}'
    return tensors.get(name)


def _neck_name(name: str) -> str | None:
    if name in PROTOTYPES or name in PROTOTYPES.values():
        return PROTOTYPES.get(name, name)
    if match := PROJECTION.fullmatch(name):  # a projection of one layer is not numbered
        return f'mlp.{match["index"] or 0}.{match["tensor"]}'
    return None


def _explain_unknown(unknown: list[str], total: int) -> str:
    shown = ', '.join(unknown[:8]) + (' ...' if len(unknown) > 8 else '')
    if any(re.match(r'(teacher\.)?(backbone\.)?layers\.\d+\.ln1', key) for key in unknown):
        return f"the weights have mmpretrain's names already ({shown}); use the file as it is"
    return (
        f'{len(unknown)} of {total} weights have names that no ViT of DINO, DoRA, iBOT or DINOv2 '
        f'has: {shown}. Is it another architecture?'
    )


def _blocks(backbone: Mapping[str, Tensor]) -> dict[int, set[str]]:
    blocks: dict[int, set[str]] = {}
    for key in backbone:
        if key.startswith('layers.'):
            _, index, rest = key.split('.', 2)
            blocks.setdefault(int(index), set()).add(rest)
    return blocks


def _missing(backbone: Mapping[str, Tensor]) -> Iterator[str]:
    yield from (name for name in NEEDS if name not in backbone)
    blocks = _blocks(backbone)
    usual = set(BLOCK_NEEDS).union(*blocks.values())
    for index in range(max(blocks, default=0) + 1):
        yield from (f'layers.{index}.{name}' for name in sorted(usual - blocks.get(index, set())))


def _check_complete(backbone: Mapping[str, Tensor]) -> None:
    missing = list(_missing(backbone))
    if missing:
        raise ValueError(
            f'the weights of a ViT are incomplete; in our names, {len(missing)} are missing: '
            f'{", ".join(missing[:8])}{" ..." if len(missing) > 8 else ""}'
        )
    for name, axes in (('patch_embed.projection.weight', 4), ('pos_embed', 3)):
        if backbone[name].ndim != axes:
            raise ValueError(
                f'{name} of a ViT for images has {axes} axes, here it has the shape '
                f'{tuple(backbone[name].shape)}. Is it another architecture?'
            )
