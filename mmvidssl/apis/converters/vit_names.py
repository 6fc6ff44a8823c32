"""Names of a ViT's weights in the released self-supervised code, and ours, which are mmpretrain's.

The code of DINO, DoRA, iBOT, DINOv2 and of MaskFeat for images descends from timm's ViT.
"""

import re
from collections.abc import Collection, Iterable, Mapping

from torch import Tensor

from mmvidssl.utils.vit_names import translate

from .files import show

Rules = tuple[tuple[str, str], ...]
"""Pairs of a pattern of whole names and its replacement ('': left out); the first match counts."""

LAYER_SCALE = 'backbone.layers.0.attn.gamma1.weight'
MLP, SWIGLU = 'backbone.layers.0.ffn.layers.0.0.weight', 'backbone.layers.0.ffn.w12.weight'
PROJECTION, POSITIONS = 'backbone.patch_embed.projection.weight', 'backbone.pos_embed'
PROTOTYPES = 'neck.last_layer.parametrizations.weight.original'
NEEDS = (
    *('backbone.cls_token', POSITIONS, PROJECTION),
    *(f'backbone.layers.0.{name}.weight' for name in ('ln1', 'attn.qkv', 'attn.proj', 'ln2')),
)


def rename(
    weights: Mapping[str, Tensor],
    rules: Rules,
    where: str,
    names: Mapping[str, str] | None = None,
    place: str = '',
) -> tuple[dict[str, Tensor], list[str]]:
    """Rename weights; returns them, and the names of those left out. Tensors are not copied.

    Args:
        weights: By names that may begin with ``module.``, ``backbone.``, or both.
        rules: Rules for names without these beginnings.
        where: What has the new names, for the message.
        names: Further names, where no rule matches (:func:`translate`).
        place: Prefix of what these become.

    Raises:
        ValueError: names the weights that no rule knows, or that get the same name.
    """
    renamed: dict[str, Tensor] = {}
    dropped, unknown = [], []
    for key, value in weights.items():
        name = re.sub(r'^(module\.)?(backbone\.)?', '', key)
        found = ((re.fullmatch(pattern, name), new) for pattern, new in rules)
        ours = next((match.expand(new) for match, new in found if match), None)
        if ours is None and (other := translate(name, names or {})):
            ours = place + other
        if ours is None:
            unknown.append(key)
        elif not ours:
            dropped.append(key)
        elif ours in renamed:
            raise ValueError(f'two weights would be {ours}, {key} and another')
        else:
            renamed[ours] = value
    if unknown:
        raise ValueError(
            f'{len(unknown)} of {len(weights)} weights have no counterpart in {where}: '
            f'{show(unknown)}. Is it another architecture?'
        )
    return renamed, dropped


def count_blocks(
    names: Collection[str], place: str, needs: Iterable[str], optional: Collection[str] = ()
) -> int:
    """Count blocks, and check that no weight is missing.

    Args:
        names: Names of all weights.
        place: What comes before the number of a block: ``'backbone.layers.'``.
        needs: Weights that must be there.
        optional: Weights that only some blocks may have. Any other weight that one block has, all
            blocks must have.

    Raises:
        ValueError: names what is missing.
    """
    blocks: dict[int, set[str]] = {}
    for name in names:
        if match := re.fullmatch(rf'{re.escape(place)}(\d+)\.(.+)', name):
            blocks.setdefault(int(match[1]), set()).add(match[2])
    depth = 1 + max(blocks, default=0)
    usual = sorted(set().union(*blocks.values()) - set(optional))
    wanted = [*needs, *(f'{place}{index}.{name}' for index in range(depth) for name in usual)]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f'{len(missing)} weights are missing; in our names: {show(missing)}')
    return depth


def describe_vit(weights: Mapping[str, Tensor], final_norm: str = 'ln1') -> dict:
    """Options that a config must set for the weights of a ViT to fit, as far as shapes tell.

    The number of heads does not show in shapes.

    Args:
        weights: ``backbone.*``, and perhaps ``neck.*`` of DINO.
        final_norm: Name of the final norm.

    Raises:
        ValueError: if weights are missing, or are not those of a ViT for images.
    """
    depth = count_blocks(weights, 'backbone.layers.', (*NEEDS, f'backbone.{final_norm}.weight'))
    for name, axes in ((PROJECTION, 4), (POSITIONS, 3)):
        if weights[name].ndim != axes:
            raise ValueError(
                f'{name} of a ViT for images has {axes} axes, got {tuple(weights[name].shape)}'
            )
    dims, _, patch_size, _ = weights[PROJECTION].shape
    side = (weights[POSITIONS].shape[1] - 1) ** 0.5
    found = dict(
        embed_dims=dims,
        num_layers=depth,
        patch_size=patch_size,
        ffn='swiglu_fused' if SWIGLU in weights else 'origin',
        layer_scale=LAYER_SCALE in weights,
        qkv_bias='backbone.layers.0.attn.qkv.bias' in weights,
    )
    if side.is_integer():
        found['img_size'] = int(side) * patch_size
    if MLP in weights:
        found['feedforward_channels'] = len(weights[MLP])
    if f'{PROTOTYPES}1' in weights:
        found['num_prototypes'] = len(weights[f'{PROTOTYPES}1'])
    return found
