"""What the ViTs have in common."""

from collections.abc import Callable

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


class FrozenStages(nn.Module):
    """The first blocks of a backbone, and all before them, which neither learn nor drop paths.

    Stands before the backbone's class among the bases. That has ``num_layers`` and
    ``_freeze_stages()``, which freezes ``frozen_stages`` blocks and puts them into evaluation mode.
    """

    num_layers: int
    _freeze_stages: Callable[[], None]
    frozen_stages = -1

    def freeze(self, frozen_stages: int) -> None:
        """Freeze the first blocks; none if ``frozen_stages`` is not positive.

        Raises:
            ValueError: if there are fewer blocks.
        """
        if frozen_stages > self.num_layers:
            raise ValueError(
                f'frozen_stages={frozen_stages}, but the backbone has {self.num_layers} blocks; '
                f'frozen_stages={self.num_layers} freezes all of it'
            )
        self.frozen_stages = frozen_stages
        if frozen_stages > 0:
            self._freeze_stages()

    def train(self, mode: bool = True) -> 'FrozenStages':
        """As ever, but what is frozen stays in evaluation mode; mmpretrain's gives nothing back."""
        super().train(mode)
        if mode and self.frozen_stages > 0:
            self._freeze_stages()
        return self


def run_block(block: nn.Module, tokens: Tensor, with_cp: bool) -> Tensor:
    """A block's output; with ``with_cp``, only its input is kept for the backward pass."""
    if with_cp and torch.is_grad_enabled():
        return checkpoint(block, tokens, use_reentrant=False)
    return block(tokens)
