"""Features of single frames."""

import numpy as np
import torch
from torch import nn

from .images import to_clip

SOURCES = ('teacher', 'student')


def select_backbone(model: nn.Module, source: str = 'teacher') -> nn.Module:
    """The student's or the teacher's backbone of an algorithm.

    Raises:
        ValueError: If ``source`` is neither, or the model has no teacher.
    """
    if source not in SOURCES:
        raise ValueError(f'source must be one of {SOURCES}, got {source!r}')
    if source == 'student':
        return model.backbone
    if not hasattr(model, 'teacher'):
        raise ValueError(f'{type(model).__name__} has no teacher; use source="student"')
    return model.teacher.backbone


@torch.no_grad()
def extract_features(
    model: nn.Module,
    frames: np.ndarray | torch.Tensor,
    batch_size: int = 64,
    source: str = 'teacher',
) -> torch.Tensor:
    """Class tokens, after the final norm, of frames of one size.

    Args:
        model: An algorithm, in evaluation mode and on its device.
        frames: ``(N, H, W, 3)`` uint8 RGB array, or ``(3, N, H, W)`` uint8 tensor.
        batch_size: Frames in one forward pass.
        source: ``'teacher'`` or ``'student'``.

    Returns:
        ``(N, D)`` on the CPU.

    Raises:
        ValueError: If ``frames`` or ``source`` are not of these kinds.
    """
    backbone = select_backbone(model, source)
    features = []
    for chunk in to_clip(frames).split(batch_size, dim=1):
        inputs = model.data_preprocessor(dict(inputs=dict(clip=[chunk])))['inputs']['clip']
        features.append(backbone(inputs[0].transpose(0, 1))[-1].cpu())
    return torch.cat(features)
