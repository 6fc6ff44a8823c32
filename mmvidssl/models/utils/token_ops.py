"""Pure functions between clips, frames, tokens and masks.

A mask of what the model must predict is bool, True = masked, and is resized only here.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def clip_to_frames(clips: Tensor) -> Tensor:
    """Fold clips into a batch of frames, frame-major.

    Args:
        clips: ``(..., B, C, T, H, W)``; leading axes are objects or views.

    Returns:
        ``(prod(...) * T * B, C, H, W)``.
    """
    return clips.movedim(-3, -5).flatten(0, -4)


def resize_pos_embed(
    pos_embed: Tensor,
    source: tuple[int, int],
    target: tuple[int, int],
    num_extra_tokens: int = 1,
    mode: str = 'bicubic',
    offset: float = 0.0,
) -> Tensor:
    """Interpolate learned positions to another token grid.

    Args:
        pos_embed: ``(1, num_extra_tokens + h * w, D)``.
        source: Token grid ``(h, w)`` that the positions were learned on.
        target: Token grid wanted.
        num_extra_tokens: Leading tokens (the class token) that are left as they are.
        mode: As in ``torch.nn.functional.interpolate``.
        offset: Added to the target grid when the scale factor is computed. DINO's code adds 0.1
            against rounding, which shifts every sampling position a little; weights trained with it
            want it at inference as well.

    Returns:
        ``(1, num_extra_tokens + target_h * target_w, D)``.
    """
    if tuple(source) == tuple(target):
        return pos_embed
    extra, grid = pos_embed[:, :num_extra_tokens], pos_embed[:, num_extra_tokens:]
    grid = grid.unflatten(1, source).permute(0, 3, 1, 2).float()
    if offset:
        scale = [(wanted + offset) / have for wanted, have in zip(target, source, strict=True)]
        grid = F.interpolate(grid, scale_factor=scale, mode=mode, align_corners=False)
    else:
        grid = F.interpolate(grid, size=target, mode=mode, align_corners=False)
    grid = grid.flatten(2).transpose(1, 2).to(pos_embed.dtype)
    return torch.cat((extra, grid), dim=1)


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
    """Resize a mask to the token grid: repeat each cell for all tokens that it covers.

    Args:
        mask: ``(B, t, h, w)``, bool.
        grid: Token grid wanted; each side a multiple of the mask's.

    Returns:
        ``(B, *grid)``, bool.

    Raises:
        ValueError: if the sides of the grid are not multiples of the mask's.
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


def apply_masks(clip: Tensor, masks: Tensor) -> Tensor:
    """Keep each object of a normalised clip and paint the rest in the mean colour (zero).

    Args:
        clip: ``(B, C, T, H, W)``.
        masks: ``(O, B, T, h, w)``, bool (kept where an object is) or soft weights in [0, 1]; ``h``
            and ``w`` divide ``H`` and ``W``.

    Returns:
        ``(O, B, C, T, H, W)``.

    Source: DoRA, equation 7.
    """
    patch_h, patch_w = clip.shape[-2] // masks.shape[-2], clip.shape[-1] // masks.shape[-1]
    pixels = masks.to(clip.dtype).repeat_interleave(patch_h, -2).repeat_interleave(patch_w, -1)
    return clip.unsqueeze(0) * pixels.unsqueeze(2)


def shuffle_masks(masks: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Move the patches of each mask to random places, frame by frame, which keeps its coverage.

    Args:
        masks: ``(O, B, T, h, w)``, bool or soft weights.
        generators: Sources of the places, one a clip; on the CPU.

    Returns:
        The same shape and type.
    """
    flat = masks.flatten(-2)
    draws = [torch.rand(flat[:, 0].shape, generator=generator) for generator in generators]
    order = torch.stack(draws, dim=1).argsort(dim=-1)
    return flat.gather(-1, order.to(masks.device)).view_as(masks)


def counted_generator(seed: int, count: int) -> torch.Generator:
    """A CPU generator for draw number ``count`` of the stream ``seed``.

    It depends on nothing else, so a run that saves the count in a buffer draws the same numbers
    after a resume.
    """
    return torch.Generator().manual_seed(seed * 1_000_003 + count)
