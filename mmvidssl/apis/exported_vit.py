"""A ViT taken out of a checkpoint, for other libraries."""

import os
from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any, NamedTuple

from torch import Tensor

from mmvidssl.engine.checkpoint import read_plain
from mmvidssl.registry import MODELS

from .plain_config import read_plain_config
from .publish import select_weights
from .vit_names import BLOCK_NEEDS, NEEDS, describe_vit

CHANNELS_PER_HEAD = 64
LACKS = {'cls_token': 'class token', 'ln1.weight': 'final norm (ln1)'}
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class ExportedViT(NamedTuple):
    """Weights in mmpretrain's names, without a prefix, and what their shapes do not say."""

    weights: dict[str, Tensor]
    arch: dict[str, Any]
    """As :func:`describe_vit` gives it, and ``num_heads``; ``img_size`` is a pair unless square."""
    mean: tuple[float, ...]
    """Of each channel, RGB from 0 to 255; by which the model normalises."""
    std: tuple[float, ...]


def read_vit(
    checkpoint: str | os.PathLike,
    role: str = 'teacher',
    num_heads: int | None = None,
    img_size: Sequence[int] | None = None,
) -> ExportedViT:
    """The ViT of a published file, or of a checkpoint of DINO, DoRA or MaskFeat.

    Args:
        checkpoint: A published backbone, or what a run of ours or a converter wrote.
        role: ``'teacher'`` or ``'student'``; a file with one backbone gives that one.
        num_heads: Attention heads, which weights do not show. None: as the config in the file says,
            and else one for each 64 channels, as in every ViT of DINO, DeiT and MAE.
        img_size: Height and width of the images that the positions are of; their number does not
            tell 2 x 8 patches from 4 x 4. None: as the config says, and else a square.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if it holds no plain ViT, or the number of heads or the image size cannot be
            told, is not the config's, or does not fit the weights; names the file.
    """
    content = read_plain(str(checkpoint))
    weights, _ = select_weights(content, checkpoint, role)
    try:
        _check_plain(weights)
        config = read_plain_config(content.get('meta', {})).get('model', {})
        arch = describe_vit(weights, {})
        arch['num_heads'] = _find_num_heads(arch['embed_dims'], config, num_heads)
        arch['img_size'] = _find_img_size(weights, arch['patch_size'], config, img_size)
    except ValueError as error:
        raise ValueError(f'{checkpoint}: {error}') from error
    preprocessor = config.get('data_preprocessor') or {}
    mean = tuple(preprocessor.get('mean', IMAGENET_MEAN))
    std = tuple(preprocessor.get('std', IMAGENET_STD))
    return ExportedViT(weights, arch, mean, std)


def _check_plain(weights: Mapping[str, Tensor]) -> None:
    problem = _find_problem(weights)
    if problem is not None:
        raise ValueError(
            f'{problem}. tools/model_converters/export_backbone.py exports any backbone as it is.'
        )


def _find_problem(weights: Mapping[str, Tensor]) -> str | None:
    """Why these are not the weights of a ViT that timm and transformers have."""
    needs = [*NEEDS, *(f'layers.0.{name}' for name in BLOCK_NEEDS)]
    missing = [name for name in needs if name not in weights]
    if missing and any(name.startswith('blocks.') for name in weights):
        return 'the backbone is an MViT, which timm and transformers do not have with these names'
    if missing and set(missing) <= LACKS.keys():
        lacks = ' and '.join(LACKS[name] for name in missing)
        return (
            f'the ViT has no {lacks}, as fine-tuned ones may, but those of timm and transformers '
            'apply it. Name the checkpoint of its pretraining'
        )
    if missing:
        first = next(iter(weights))
        return (
            f'the backbone is no ViT: {", ".join(missing)} missing, there are {len(weights)} '
            f'weights, the first {first}'
        )
    kernel = tuple(weights['patch_embed.projection.weight'].shape[2:])
    if len(kernel) != 2 or kernel[0] != kernel[1] or weights['pos_embed'].ndim != 3:
        return (
            f'the ViT has patches of {"x".join(map(str, kernel))} and positions '
            f'{"x".join(map(str, weights["pos_embed"].shape))}, where squares and 1xNxD are wanted'
        )
    return None


def _find_num_heads(dims: int, config: Mapping, given: int | None) -> int:
    configured = _configured_heads(config.get('backbone', {}))
    if given is not None and configured is not None and given != configured:
        raise ValueError(
            f'num_heads={given}, but its config says {configured}; leave num_heads out'
        )
    usual = dims // CHANNELS_PER_HEAD if dims % CHANNELS_PER_HEAD == 0 else None
    found = given or configured or usual
    if found is None or dims % found:
        raise ValueError(
            f'give num_heads, a divisor of its {dims} channels'
            + (f', not {found}' if found else ': the file does not say how many it has')
        )
    return found


def _find_img_size(
    weights: Mapping[str, Tensor], patch_size: int, config: Mapping, given: Sequence[int] | None
) -> int | tuple[int, int]:
    number = weights['pos_embed'].shape[1] - 1
    configured = config.get('backbone', {}).get('img_size')
    if given is not None and configured is not None and _pair(given) != _pair(configured):
        raise ValueError(f'img_size={given}, but its config says {configured}; leave img_size out')
    size = configured if given is None else given
    if size is None and isqrt(number) ** 2 != number:
        raise ValueError(
            f'its {number} positions are of images that are no squares, and the file does not say '
            'of what size; give img_size, on the command line --img-size HEIGHT WIDTH'
        )
    height, width = _pair(isqrt(number) * patch_size if size is None else size)
    grid = -(-height // patch_size), -(-width // patch_size)
    if grid[0] * grid[1] != number:
        raise ValueError(
            f'img_size={size} is of {grid[0]}x{grid[1]} patches of {patch_size} pixels, but there '
            f'are {number} positions; give that of the images it was trained with'
        )
    height, width = grid[0] * patch_size, grid[1] * patch_size
    return height if height == width else (height, width)


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    sides = (size,) if isinstance(size, int) else tuple(size)
    if len(sides) not in (1, 2) or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f'img_size must be height and width in pixels, got {size!r}')
    return sides[0], sides[-1]


def _configured_heads(backbone: Mapping) -> int | None:
    arch = backbone.get('arch')
    if isinstance(arch, str):
        arch = MODELS.get('mmvidssl.DINOViT').arch_zoo.get(arch)
    heads = arch.get('num_heads') if isinstance(arch, Mapping) else None
    return heads if isinstance(heads, int) else None
