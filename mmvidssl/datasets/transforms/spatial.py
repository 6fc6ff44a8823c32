"""Cropping, flipping and resizing clips."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvidssl.registry import TRANSFORMS

from .base import FrameTransform, check_range, check_size, generator_of
from .functional import INTERPOLATIONS, draw_crop, resize_clip, short_side_size


def _check_interpolation(interpolation: str) -> str:
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f'interpolation must be one of {list(INTERPOLATIONS)}, got {interpolation!r}'
        )
    return interpolation


@TRANSFORMS.register_module()
class ClipRandomResizedCrop(BaseTransform):
    """Crop a random part and resize it, as torchvision's ``RandomResizedCrop``.

    **Required Keys:** clip; rng is optional (:func:`generator_of`)

    **Modified Keys:** clip

    Args:
        size: Height and width after resizing, an int for a square.
        scale: Range of the part's area, as a share of the frame's.
        ratio: Range of the part's width / height.
        interpolation: 'bicubic' or 'bilinear'.
        per_frame: Whether each frame draws its own part; otherwise all frames share one.
        antialias: Whether to antialias where the part shrinks, as PIL does (and torchvision's
            transforms of videos do not).
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = 'bicubic',
        per_frame: bool = False,
        antialias: bool = True,
    ) -> None:
        self.size = check_size('size', size)
        self.scale = check_range('scale', scale)
        if self.scale[1] > 1:
            raise ValueError(f'scale is a share of the frame, at most 1, got {scale}')
        self.ratio = check_range('ratio', ratio)
        self.interpolation = _check_interpolation(interpolation)
        self.per_frame = per_frame
        self.antialias = antialias

    def transform(self, results: dict) -> dict:
        """Crop ``results['clip']``, uint8 ``(T, H, W, 3)``."""
        clip, rng = results['clip'], generator_of(results)
        if self.per_frame:
            frames = [self._crop(clip[t : t + 1], rng) for t in range(len(clip))]
            results['clip'] = np.concatenate(frames)
        else:
            results['clip'] = self._crop(clip, rng)
        return results

    def _crop(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _, full_height, full_width, _ = clip.shape
        top, left, height, width = draw_crop(full_height, full_width, self.scale, self.ratio, rng)
        part = clip[:, top : top + height, left : left + width]
        return resize_clip(part, self.size, self.interpolation, self.antialias)


@TRANSFORMS.register_module()
class ClipRandomFlip(FrameTransform):
    """Mirror left and right. Keys and arguments: see :class:`FrameTransform`."""

    def __init__(self, prob: float = 0.5, per_frame: bool = False) -> None:
        super().__init__(prob, per_frame)

    def apply(self, frame: np.ndarray, params: None) -> np.ndarray:
        """Mirror one frame."""
        return cv2.flip(frame, 1)


@TRANSFORMS.register_module()
class ClipResize(BaseTransform):
    """Resize, antialiased; for evaluation.

    **Required Keys:** clip

    **Modified Keys:** clip

    Args:
        short_side: Pixels of the shorter side, in proportion. Give this or ``size``.
        size: Height and width, an int for a square.
        interpolation: 'bicubic' or 'bilinear'.
    """

    def __init__(
        self,
        short_side: int | None = None,
        size: int | Sequence[int] | None = None,
        interpolation: str = 'bicubic',
    ) -> None:
        if short_side is not None and size is None:
            self.size = check_size('short_side', short_side)
        elif size is not None and short_side is None:
            self.size = check_size('size', size)
        else:
            raise ValueError(
                f'give either short_side or size, got short_side={short_side} and size={size}'
            )
        self.keep_shape = size is None
        self.interpolation = _check_interpolation(interpolation)

    def transform(self, results: dict) -> dict:
        """Resize ``results['clip']``, uint8 ``(T, H, W, 3)``."""
        clip = results['clip']
        _, height, width, _ = clip.shape
        size = short_side_size(height, width, self.size[0]) if self.keep_shape else self.size
        results['clip'] = resize_clip(clip, size, self.interpolation)
        return results


@TRANSFORMS.register_module()
class ClipCenterCrop(BaseTransform):
    """Crop the middle; for evaluation.

    **Required Keys:** clip

    **Modified Keys:** clip

    Args:
        size: Height and width, an int for a square.
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = check_size('size', size)

    def transform(self, results: dict) -> dict:
        """Crop ``results['clip']``, uint8 ``(T, H, W, 3)``."""
        clip = results['clip']
        height, width = clip.shape[1:3]
        crop_h, crop_w = self.size
        if crop_h > height or crop_w > width:
            raise ValueError(
                f'a crop of {self.size} (height, width) does not fit into frames of '
                f'{(height, width)}; put ClipResize before ClipCenterCrop'
            )
        top, left = round((height - crop_h) / 2), round((width - crop_w) / 2)
        results['clip'] = np.ascontiguousarray(clip[:, top : top + crop_h, left : left + crop_w])
        return results
