"""Masks between the window they were drawn on and the token grids of a model.

A mask is bool, True where the model must predict. This is the one place where masks are resized.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def stack_masks(data_samples: Sequence | None) -> Tensor:
    """The masks of a batch of data samples, ``(B, t, h, w)`` bool on the mask window.

    Raises:
        ValueError: if a sample has no mask, or they are of different windows.
    """
    missing = sum('_mask' not in sample for sample in data_samples or ())
    if not data_samples or missing:
        raise ValueError(
            f'{missing or "all"} of {len(data_samples or ())} data samples have no mask; put a '
            'CubeMask (or another mask) before PackClipInputs in the pipeline'
        )
    shapes = {tuple(sample.mask.shape) for sample in data_samples}
    if len(shapes) != 1:
        raise ValueError(f'the masks of a batch must be of one window, got {sorted(shapes)}')
    return torch.stack([sample.mask for sample in data_samples])


def resize_mask(mask: Tensor, grid: Sequence[int]) -> Tensor:
    """Repeat each cell of a mask for all tokens that it covers.

    Args:
        mask: ``(B, t, h, w)``, bool.
        grid: Token grid wanted; each side a multiple of the mask's.

    Returns:
        ``(B, *grid)``, bool.

    Raises:
        ValueError: if a cell would end inside a token.
    """
    window = mask.shape[1:]
    if mask.ndim != 4 or any(wanted % have for wanted, have in zip(grid, window, strict=True)):
        raise ValueError(
            f'a mask of the window {tuple(window)} does not fit the token grid {tuple(grid)}, '
            'each side of which must be a multiple of the window. Set the mask_window (or '
            'img_size, clip_len) accordingly.'
        )
    for axis, wanted in enumerate(grid, start=1):
        mask = mask.repeat_interleave(wanted // mask.shape[axis], dim=axis)
    return mask
