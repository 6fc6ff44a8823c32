"""Pure functions on clips, uint8 RGB ``(T, H, W, 3)``, and frames, uint8 RGB ``(H, W, 3)``."""

import math

import cv2
import numpy as np
import torch

INTERPOLATIONS = {'bilinear': cv2.INTER_LINEAR, 'bicubic': cv2.INTER_CUBIC}
GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
# Maps of (R, G, B, 1) for cv2.transform: identity, luma in three channels, ones.
SAME, GRAY, CONSTANT = np.zeros((3, 3, 4))
SAME[:, :3] = np.eye(3)
GRAY[:, :3] = GRAY_WEIGHTS
CONSTANT[:, 3] = 1


def resize_clip(
    clip: np.ndarray, size: tuple[int, int], interpolation: str, antialias: bool = True
) -> np.ndarray:
    """Resize ``(T, H, W, 3)`` to ``size`` (height, width), as torch's ``interpolate`` does.

    Without ``antialias``, pixels between those that an output pixel falls on do not count.
    """
    if not antialias:  # OpenCV reads the few pixels that count, and copies nothing else
        flag, (height, width) = INTERPOLATIONS[interpolation], size
        return np.stack([cv2.resize(f, (width, height), interpolation=flag) for f in clip])
    # A crop is no contiguous array: NumPy copies rows, where torch would copy byte by byte.
    frames = torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(frames, size, mode=interpolation, antialias=True)
    return resized.permute(0, 2, 3, 1).contiguous().numpy()


def short_side_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) scaled to this shorter side in proportion, rounded as torchvision does."""
    if height <= width:
        return short_side, int(short_side * width / height)
    return int(short_side * height / width), short_side


def draw_crop(
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """Draw a crop as torchvision's ``RandomResizedCrop`` does.

    The area is uniform in ``scale`` (of the whole), the shape (width / height) log-uniform in
    ``ratio``; after ten draws that do not fit, the largest central crop within ``ratio``.

    Returns:
        top, left, height, width, in pixels.
    """
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        crop_w, crop_h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < crop_w <= width and 0 < crop_h <= height:
            top = int(rng.integers(height - crop_h + 1))
            left = int(rng.integers(width - crop_w + 1))
            return top, left, crop_h, crop_w
    shape = min(max(width / height, ratio[0]), ratio[1])
    crop_w = min(width, round(height * shape))
    crop_h = min(height, round(width / shape))
    return (height - crop_h) // 2, (width - crop_w) // 2, crop_h, crop_w


def adjust_brightness(frame: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by ``factor``; 0 is black."""
    return cv2.transform(frame, factor * SAME)


def adjust_contrast(frame: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the frame's mean gray: a factor of 0 gives the mean, 1 the frame."""
    red, green, blue, _ = cv2.mean(frame)
    mean_gray = float(GRAY_WEIGHTS @ (red, green, blue))
    return cv2.transform(frame, factor * SAME + (1 - factor) * mean_gray * CONSTANT)


def adjust_saturation(frame: np.ndarray, factor: float) -> np.ndarray:
    """Blend with each pixel's gray: a factor of 0 gives gray, 1 the frame."""
    return cv2.transform(frame, factor * SAME + (1 - factor) * GRAY)


def adjust_hue(frame: np.ndarray, shift: float) -> np.ndarray:
    """Turn the hue by ``shift`` of the colour circle, in [-0.5, 0.5].

    In float32: hue in 8 bits would be off by up to 9 levels.
    """
    unit = np.multiply(frame, np.float32(1 / 255), dtype=np.float32)
    hsv = cv2.cvtColor(unit, cv2.COLOR_RGB2HSV)
    # OpenCV handles hues beyond 360 degrees, but not below 0
    hsv[..., 0] += np.float32(360 * (shift % 1))
    return cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=unit), alpha=255)


def to_gray(frame: np.ndarray) -> np.ndarray:
    """Convert to grayscale: luma in three equal channels."""
    return cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def gaussian_blur(frame: np.ndarray, sigma: float) -> np.ndarray:
    """Blur with a Gaussian of ``sigma`` pixels, cut off at three sigma; borders are mirrored."""
    size = 2 * math.ceil(3 * sigma) + 1
    return cv2.GaussianBlur(frame, (size, size), sigma, borderType=cv2.BORDER_REFLECT_101)


def pil_gaussian_blur(frame: np.ndarray, sigma: float) -> np.ndarray:
    """PIL's ``GaussianBlur(radius=sigma)``, without its rounding in between; borders are repeated.

    Three box blurs, with fractional end weights that make the standard deviation exactly ``sigma``.
    That of a Gaussian sampled at whole pixels is smaller below half a pixel: for 0.3, a third.
    """
    kernel = _three_boxes(sigma)
    return cv2.sepFilter2D(frame, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)


def _three_boxes(sigma: float) -> np.ndarray:
    """The kernel, float32 ``(6 * half + 7,)``, of three equal boxes of variance ``sigma**2 / 3``.

    A box is ``2 * half + 1`` ones with a weight ``end`` in [0, 1) on both sides, solved for the
    variance.
    """
    variance = sigma**2 / 3
    half = int((math.sqrt(12 * variance + 1) - 1) / 2)
    end = (2 * half + 1) * (variance - half * (half + 1) / 3) / (2 * ((half + 1) ** 2 - variance))
    box = np.ones(2 * half + 3)
    box[0] = box[-1] = end
    box /= box.sum()
    return np.convolve(np.convolve(box, box), box).astype(np.float32)


def solarize(frame: np.ndarray, threshold: int) -> np.ndarray:
    """Invert all values of at least ``threshold``."""
    values = np.arange(256)
    return cv2.LUT(frame, np.where(values >= threshold, 255 - values, values).astype(np.uint8))
