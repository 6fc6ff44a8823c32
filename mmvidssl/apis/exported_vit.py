"""A ViT taken out of a checkpoint, for other libraries."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from mmvidssl.registry import MODELS

from .init_model import read_checkpoint
from .plain_config import read_plain_config
from .publish import select_weights
from .vit_names import BLOCK_NEEDS, NEEDS, describe_vit

CHANNELS_PER_HEAD = 64
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class ExportedViT(NamedTuple):
    """Weights in mmpretrain's names, without a prefix, and what their shapes do not say."""

    weights: dict[str, Tensor]
    arch: dict[str, Any]
    """As :func:`describe_vit` gives it, and ``num_heads``."""
    mean: tuple[float, ...]
    """Of each channel, RGB from 0 to 255; by which the model normalises."""
    std: tuple[float, ...]


def read_vit(
    checkpoint: str | os.PathLike, role: str = 'teacher', num_heads: int | None = None
) -> ExportedViT:
    """The ViT of a published file, or of a checkpoint of DINO, DoRA or MaskFeat.

    Args:
        checkpoint: A published backbone, or what a run of ours or a converter wrote.
        role: ``'teacher'`` or ``'student'``; a file with one backbone gives that one.
        num_heads: Attention heads, which weights do not show. None: as the config in the file says,
            and else one for each 64 channels, as in every ViT of DINO, DeiT and MAE.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if it holds no plain ViT, or the number of heads cannot be told, is not the
            config's, or does not divide the channels; names the file.
    """
    content = read_checkpoint(checkpoint)
    weights, _ = select_weights(content, checkpoint, role)
    try:
        _check_plain(weights)
        config = read_plain_config(content.get('meta', {})).get('model', {})
        arch = describe_vit(weights, {})
        arch['num_heads'] = _find_num_heads(arch['embed_dims'], config, num_heads)
    except ValueError as error:
        raise ValueError(f'{checkpoint}: {error}') from error
    preprocessor = config.get('data_preprocessor') or {}
    mean = tuple(preprocessor.get('mean', IMAGENET_MEAN))
    std = tuple(preprocessor.get('std', IMAGENET_STD))
    return ExportedViT(weights, arch, mean, std)


def _check_plain(weights: Mapping[str, Tensor]) -> None:
    missing = [name for name in NEEDS if name not in weights]
    missing += [n for n in (f'layers.0.{n}' for n in BLOCK_NEEDS) if n not in weights]
    if missing or weights['pos_embed'].ndim != 3:
        raise ValueError(
            f'the backbone is no ViT with class token and final norm: {", ".join(missing)} missing '
            f'({len(weights)} weights, the first {next(iter(weights))}). MViTs have no counterpart '
            'in timm and transformers; tools/model_converters/export_backbone.py exports them.'
        )


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


def _configured_heads(backbone: Mapping) -> int | None:
    arch = backbone.get('arch')
    if isinstance(arch, str):
        arch = MODELS.get('mmvidssl.DINOViT').arch_zoo.get(arch)
    heads = arch.get('num_heads') if isinstance(arch, Mapping) else None
    return heads if isinstance(heads, int) else None
