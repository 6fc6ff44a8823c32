"""The plainest target: the pixels themselves."""

from typing import Literal, get_args

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmvidssl.registry import MODELS

from ..utils.target_frames import check_positive, patch_grid, target_frames

Normalize = Literal['dataset', 'patch']


@MODELS.register_module()
class PixelGenerator(BaseModule):
    """Pixels of each patch of the target frames, without gradient, in float32.

    Args:
        patch_size: Side of a patch in pixels: what one token covers where it predicts.
        temporal_stride: Frames between time steps of the token grid; of no effect on images.
        normalize: ``'dataset'``: the input as it comes, by the mean and standard deviation of the
            data preprocessor. ``'patch'``: to mean 0 and variance 1 over each patch and all
            channels.

    Attributes:
        pred_channels: Length ``Q`` of a target.

    Raises:
        ValueError: names the argument that cannot be.

    Source: MaskFeat, section 3.2 (``'dataset'``); MAE, section 4.1 (``'patch'``). Differs from the
    reference: nothing; the released code normalises patches by default.
    """

    def __init__(
        self, patch_size: int = 16, temporal_stride: int = 2, normalize: Normalize = 'dataset'
    ) -> None:
        super().__init__()
        check_positive(patch_size=patch_size, temporal_stride=temporal_stride)
        if normalize not in get_args(Normalize):
            raise ValueError(f'normalize must be one of {get_args(Normalize)}, got {normalize!r}')
        self.patch_size, self.temporal_stride = patch_size, temporal_stride
        self.normalize = normalize
        self.pred_channels = 3 * patch_size**2

    @torch.no_grad()
    def forward(self, clip: Tensor) -> Tensor:
        """Targets of all patches.

        Args:
            clip: ``(B, C, T, H, W)`` or images ``(B, C, H, W)``, as the model sees them.

        Returns:
            ``(B, t * h * w, Q)`` float32; ``Q`` in the order pixel row, pixel column, channel.

        Raises:
            ValueError: if the shape does not fit.
        """
        frames = target_frames(clip, self.temporal_stride)
        height, width = patch_grid(frames, self.patch_size)
        patches = frames.unflatten(4, (width, -1)).unflatten(3, (height, -1))
        # (B, t, C, h, row, w, column) -> (B, t, h, w, row, column, C)
        target = patches.permute(0, 1, 3, 5, 4, 6, 2).flatten(4).flatten(1, 3).float()
        if self.normalize == 'dataset':
            return target
        variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
        return (target - mean) / (variance + 1e-6).sqrt()
