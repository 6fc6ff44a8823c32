"""The pixels themselves as targets."""

from typing import Literal, get_args

import torch
from torch import Tensor

from mmvidssl.registry import MODELS

from .base import PatchTargetGenerator

Normalize = Literal['dataset', 'patch']


@MODELS.register_module()
class PixelGenerator(PatchTargetGenerator):
    """Targets: the pixels of each patch, in float32, in the order ``(row, column, channel)``.

    Args:
        normalize: ``'dataset'``: the input as it is, normalised by the data preprocessor's mean and
            standard deviation. ``'patch'``: to mean 0 and variance 1 over each patch and all
            channels.
        **kwargs: As in :class:`PatchTargetGenerator`.

    Attributes:
        pred_channels: Length ``Q`` of a target.

    Source: MaskFeat, section 3.2 (``'dataset'``); MAE, section 4.1 (``'patch'``). Differs from the
    reference: nothing; the released code normalises patches by default.
    """

    def __init__(self, normalize: Normalize = 'dataset', **kwargs) -> None:
        super().__init__(**kwargs)
        if normalize not in get_args(Normalize):
            raise ValueError(f'normalize must be one of {get_args(Normalize)}, got {normalize!r}')
        self.normalize = normalize
        self.pred_channels = self.num_target_frames * 3 * self.patch_size**2

    def generate(self, frames: Tensor, grid: tuple[int, int, int]) -> Tensor:
        patches = frames.unflatten(4, (grid[2], -1)).unflatten(3, (grid[1], -1))
        # (B, t, C, h, row, w, column) -> (B, t, h, w, row, column, C)
        target = patches.permute(0, 1, 3, 5, 4, 6, 2).flatten(4).flatten(1, 3).float()
        if self.normalize == 'dataset':
            return target
        variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
        return (target - mean) / (variance + 1e-6).sqrt()
