"""Base of the target generators of MaskFeat: one target for each token of the grid."""

from abc import abstractmethod
from typing import Literal, get_args

import torch
from mmengine.model import BaseModule
from torch import Tensor

Frames = Literal['center', 'all']


class PatchTargetGenerator(BaseModule):
    """Base of target generators for the patches of a clip, or of an image (a clip of one frame).

    Args:
        patch_size: Side in pixels of the patch that one token predicts.
        temporal_stride: Frames between time steps of the token grid; of no effect on images.
        frames: What a token predicts of its cube: the patch of its ``'center'`` frame
            (:func:`target_frames`), or those of ``'all'`` its ``temporal_stride`` frames, from the
            center on, one after another (clips only).

    Attributes:
        num_target_frames: Number of patches in one target.

    Raises:
        ValueError: names the invalid argument.

    Source: MaskFeat, section 4.3.2 (``'center'`` is best).
    """

    def __init__(
        self, patch_size: int = 16, temporal_stride: int = 2, frames: Frames = 'center'
    ) -> None:
        super().__init__()
        check_positive(patch_size=patch_size, temporal_stride=temporal_stride)
        if frames not in get_args(Frames):
            raise ValueError(f'frames must be one of {get_args(Frames)}, got {frames!r}')
        self.patch_size, self.temporal_stride = patch_size, temporal_stride
        self.num_target_frames = temporal_stride if frames == 'all' else 1

    @torch.no_grad()
    def forward(self, clip: Tensor) -> Tensor:
        """Targets of all patches.

        Args:
            clip: ``(B, C, T, H, W)`` or images ``(B, C, H, W)``, as the model sees them.

        Returns:
            ``(B, t * h * w, Q)``, without gradient.

        Raises:
            ValueError: if the shape does not fit.
        """
        together = self.num_target_frames
        frames = target_frames(clip, self.temporal_stride // together)
        if frames.shape[1] % together:
            raise ValueError(
                f"frames='all' makes targets of {together} frames each, which do not divide the "
                f'{frames.shape[1]} of the input'
            )
        target = self.generate(frames, (frames.shape[1], *patch_grid(frames, self.patch_size)))
        if together == 1:
            return target
        # (B, t * frames * h * w, Q) -> (B, t, frames, h * w, Q) -> (B, t, h * w, frames, Q)
        steps = target.unflatten(1, (frames.shape[1] // together, together, -1))
        return steps.transpose(2, 3).flatten(3).flatten(1, 2)

    @abstractmethod
    def generate(self, frames: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Targets ``(B, t * h * w, Q)`` of the frames ``(B, t, C, H, W)`` of a token grid."""


def target_frames(clip: Tensor, temporal_stride: int = 1) -> Tensor:
    """Frames that the time steps of the token grid must predict.

    Frame ``i * temporal_stride`` is the temporal centre of tubelet ``i``: with a patch embedding of
    kernel 3, stride 2 and padding 1 (MViT's), the kernel covers frames ``2i - 1 .. 2i + 1``.

    Args:
        clip: ``(B, C, T, H, W)``, or images ``(B, C, H, W)``.
        temporal_stride: Stride of the patch embedding in time, in frames.

    Returns:
        ``(B, t, C, H, W)``, a view, ``t = ceil(T / temporal_stride)``.

    Raises:
        ValueError: if ``clip`` has another number of axes.

    Source: MaskFeat, section 4.3.2 (the centre patch of a cube is the best target).
    """
    if clip.ndim == 4:
        return clip.unsqueeze(1)
    if clip.ndim != 5:
        raise ValueError(
            'targets are made of clips (B, C, T, H, W) or images (B, C, H, W), got a tensor of the '
            f'shape {tuple(clip.shape)}'
        )
    return clip[:, :, ::temporal_stride].transpose(1, 2)


def patch_grid(frames: Tensor, patch_size: int) -> tuple[int, int]:
    """Numbers of patches in the height and the width of frames ``(..., H, W)``.

    Raises:
        ValueError: if ``patch_size`` does not divide ``H`` and ``W``.
    """
    height, width = frames.shape[-2:]
    if height % patch_size or width % patch_size or not height * width:
        raise ValueError(
            f'targets are made of patches of {patch_size}x{patch_size} pixels, which do not divide '
            f'a frame of {height}x{width}. Crop to a multiple of {patch_size}, or set the '
            'patch_size of the target generator (and the backbone) to a divisor.'
        )
    return height // patch_size, width // patch_size


def check_positive(**values: int) -> None:
    """Check that all values are positive integers; the error names the first that is not."""
    for name, value in values.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f'{name} must be a positive integer, got {value!r}')
