"""One form for the frames users hand in."""

import numpy as np
import torch


def to_clip(frames: np.ndarray | torch.Tensor) -> torch.Tensor:
    """``(T, H, W, 3)`` uint8 RGB array or ``(3, T, H, W)`` uint8 tensor to the latter.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(frames, np.ndarray):
        if frames.ndim == 4 and frames.shape[-1] == 3 and frames.dtype == np.uint8:
            return torch.from_numpy(np.ascontiguousarray(frames.transpose(3, 0, 1, 2)))
        expected = 'an array of frames must be uint8 (T, H, W, 3)'
    else:
        if frames.ndim == 4 and frames.shape[0] == 3 and frames.dtype == torch.uint8:
            return frames
        expected = 'a tensor of frames must be uint8 (3, T, H, W)'
    raise ValueError(f'{expected}, got {frames.dtype} {tuple(frames.shape)}')
