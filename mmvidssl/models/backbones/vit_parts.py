"""What the ViTs have in common."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def check_frame_size(frames: Tensor, patch_size: tuple[int, int]) -> None:
    """Refuse frames ``(..., H, W)`` that patches do not fill.

    Raises:
        ValueError: names a size that would do.
    """
    height, width = frames.shape[-2:]
    patch_h, patch_w = patch_size
    if height % patch_h or width % patch_w:
        near = (max(height // patch_h, 1) * patch_h, max(width // patch_w, 1) * patch_w)
        raise ValueError(
            f'the backbone cuts frames into patches of {patch_h}x{patch_w} pixels, which do '
            f'not divide a frame of {height}x{width}. Set the crop size to {near[0]}x{near[1]}, or '
            'the patch_size of the backbone to a divisor of the crop size.'
        )


def run_block(block: nn.Module, tokens: Tensor, with_cp: bool) -> Tensor:
    """A block's output; with ``with_cp``, only its input is kept for the backward pass."""
    if with_cp and torch.is_grad_enabled():
        return checkpoint(block, tokens, use_reentrant=False)
    return block(tokens)
