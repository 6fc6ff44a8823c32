"""Photometric transforms: colour jitter, grayscale, blur, solarization.

Every transform here **requires** the key ``clip`` and **modifies** it; ``rng`` is optional
(:func:`generator_of`). ``prob`` is the probability of changing a clip or, with ``per_frame``, each
frame, which then draws its own parameters too.
"""

from collections.abc import Sequence

import numpy as np

from mmvidssl.registry import TRANSFORMS

from . import functional as F
from .base import FrameTransform, check_range

COLOR_OPS = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
BLURS = dict(gaussian=F.gaussian_blur, pil=F.pil_gaussian_blur)


@TRANSFORMS.register_module()
class ClipColorJitter(FrameTransform):
    """Change brightness, contrast, saturation and hue in random order, as torchvision does.

    Args:
        brightness: The factor is uniform in ``[max(0, 1 - brightness), 1 + brightness]``.
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: The shift is uniform in ``[-hue, hue]`` of the colour circle, at most 0.5.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.2,
        hue: float = 0.1,
        prob: float = 0.8,
        per_frame: bool = False,
    ) -> None:
        super().__init__(prob, per_frame)
        strengths = dict(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
        for name, strength in strengths.items():
            if strength < 0 or (name == 'hue' and strength > 0.5):
                limit = 'in [0, 0.5]' if name == 'hue' else 'at least 0'
                raise ValueError(f'{name} must be {limit}, got {strength}')
        self.ranges = [(max(0.0, 1 - s), 1 + s) for s in (brightness, contrast, saturation)]
        self.ranges.append((-hue, hue))

    def draw_params(self, rng: np.random.Generator) -> list[tuple[int, float]]:
        """Operations in random order, each with its strength."""
        return [(op, rng.uniform(*self.ranges[op])) for op in rng.permutation(len(COLOR_OPS))]

    def apply(self, frame: np.ndarray, params: list[tuple[int, float]]) -> np.ndarray:
        """Jitter one frame."""
        for op, strength in params:
            low, high = self.ranges[op]
            if low != high:
                frame = COLOR_OPS[op](frame, strength)
        return frame


@TRANSFORMS.register_module()
class ClipRandomGrayscale(FrameTransform):
    """Convert to grayscale with a probability. Arguments: see the module."""

    def __init__(self, prob: float = 0.2, per_frame: bool = False) -> None:
        super().__init__(prob, per_frame)

    def apply(self, frame: np.ndarray, params: None) -> np.ndarray:
        """Gray one frame."""
        return F.to_gray(frame)


@TRANSFORMS.register_module()
class ClipGaussianBlur(FrameTransform):
    """Blur with a random standard deviation.

    Args:
        sigma: Range of the Gaussian's standard deviation, in pixels.
        kernel: 'gaussian', as torchvision's on tensors, or 'pil', as PIL's ``GaussianBlur``, whose
            radius is ``sigma``: as DINO and DoRA were trained, stronger for sigma below 0.5.
    """

    def __init__(
        self,
        sigma: Sequence[float] = (0.1, 2.0),
        prob: float = 0.5,
        per_frame: bool = False,
        kernel: str = 'gaussian',
    ) -> None:
        super().__init__(prob, per_frame)
        self.sigma = check_range('sigma', sigma)
        if kernel not in BLURS:
            raise ValueError(f'kernel must be one of {tuple(BLURS)}, got {kernel!r}')
        self.blur = BLURS[kernel]

    def draw_params(self, rng: np.random.Generator) -> float:
        """The standard deviation."""
        return rng.uniform(*self.sigma)

    def apply(self, frame: np.ndarray, params: float) -> np.ndarray:
        """Blur one frame."""
        return self.blur(frame, params)


@TRANSFORMS.register_module()
class ClipSolarize(FrameTransform):
    """Solarize: invert bright values.

    Args:
        threshold: Values of at least this, 0..255, are inverted.
    """

    def __init__(self, threshold: int = 128, prob: float = 0.2, per_frame: bool = False) -> None:
        super().__init__(prob, per_frame)
        if not 0 <= threshold <= 255:
            raise ValueError(f'threshold must be in 0..255, got {threshold}')
        self.threshold = threshold

    def apply(self, frame: np.ndarray, params: None) -> np.ndarray:
        """Solarize one frame."""
        return F.solarize(frame, self.threshold)
