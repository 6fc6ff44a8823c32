"""Base classes of the clip transforms, and checks of their options.

In the pipeline a clip is ``results['clip']``, uint8 RGB ``(T, H, W, 3)``, C-contiguous, as the
readers give it: OpenCV works on its frames and torch's antialiased uint8 resize on the whole, both
without a copy. A transform never writes into the clip it is given (views share their source) and
takes all randomness from :func:`generator_of` the results.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmvidssl.registry import TRANSFORMS


def build_transforms(transforms: Sequence[dict | Callable]) -> list[Callable]:
    """Build the configs among ``transforms``; a bare type name is looked up in this package."""
    return [TRANSFORMS.build(t) if isinstance(t, dict) else t for t in transforms]


def generator_of(results: dict) -> np.random.Generator:
    """``results['rng']``, which our data sets add, or a new generator seeded from torch's.

    The latter is for other libraries' data sets; it differs in each worker and at each call.
    """
    return results.get('rng') or np.random.default_rng(int(torch.randint(2**62, ())))


class FrameTransform(BaseTransform):
    """Base class of transforms that change each frame by itself, with a probability.

    **Required Keys:** clip; rng is optional (:func:`generator_of`)

    **Modified Keys:** clip

    Args:
        prob: Probability of changing a clip (or a frame).
        per_frame: Whether each frame draws for itself; otherwise the clip's frames share one draw.
    """

    def __init__(self, prob: float, per_frame: bool) -> None:
        self.prob = check_prob('prob', prob)
        self.per_frame = per_frame

    def draw_params(self, rng: np.random.Generator) -> Any:
        """Draw the parameters of one application, if it has any."""

    @abstractmethod
    def apply(self, frame: np.ndarray, params: Any) -> np.ndarray:
        """The changed frame, uint8 ``(H, W, 3)``; ``frame`` itself stays as it is."""

    def transform(self, results: dict) -> dict:
        """Change ``results['clip']``, uint8 ``(T, H, W, 3)``."""
        clip, rng = results['clip'], generator_of(results)
        chosen = rng.random(len(clip) if self.per_frame else 1) < self.prob
        if chosen.any():
            draws = [(flag, self.draw_params(rng) if flag else None) for flag in chosen]
            frames = [
                self.apply(frame, params) if flag else frame
                for frame, (flag, params) in zip(clip, cycle(draws))
            ]
            results['clip'] = np.stack(frames)
        return results


def check_prob(name: str, value: float) -> float:
    """Return a probability, or raise ``ValueError`` if it is not in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f'{name} must be a probability in [0, 1], got {value}')
    return value


def check_range(name: str, value: Sequence[float], lowest: float = 0.0) -> tuple[float, float]:
    """Return a range as floats, or raise ``ValueError`` unless ``lowest < low <= high``."""
    if len(value) != 2 or not lowest < value[0] <= value[1]:
        raise ValueError(f'{name} must be (low, high) with {lowest} < low <= high, got {value}')
    return float(value[0]), float(value[1])


def check_size(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Return a size in pixels (an int for a square) as ``(height, width)``, or raise."""
    size = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f'{name} must be a positive int or (height, width), got {value}')
    return size
