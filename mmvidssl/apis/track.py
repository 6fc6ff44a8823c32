"""Tracking objects through a clip with a DoRA model."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from .media import to_clip


class TrackedObjects(NamedTuple):
    """What :func:`track_objects` found; O objects, T frames, a token grid of h x w."""

    masks: np.ndarray
    """``(O, T, h, w)`` bool, True = on the object; or, where the model's tracker has
    ``mask_type='soft'``, float weights in [0, 1], 1 = on the object."""
    maps: np.ndarray
    """``(O, T, h, w)`` float32; how strongly each token attends to the object."""


@torch.no_grad()
def track_objects(model: nn.Module, clip: np.ndarray | torch.Tensor) -> TrackedObjects:
    """Find objects in the first frame of a clip and follow them through it (DoRA, section 4).

    Args:
        model: A DoRA model, in evaluation mode.
        clip: ``(T, H, W, 3)`` uint8 RGB array, or ``(3, T, H, W)`` uint8 tensor; height and width
            multiples of the patch size.

    Raises:
        ValueError: If the clip has another form, or the model does not track.
    """
    if not hasattr(model, 'track'):
        raise ValueError(f'{type(model).__name__} does not track objects; DoRA does')
    inputs = model.data_preprocessor(dict(inputs=dict(clip=[to_clip(clip)])))['inputs']['clip']
    result = model.track(inputs)
    return TrackedObjects(result.masks[:, 0].cpu().numpy(), result.maps[:, 0].float().cpu().numpy())
