"""Pictures of histograms of oriented gradients."""

import math

import numpy as np


def draw_hog(histograms: np.ndarray, cell_size: int = 16, signed: bool = False) -> np.ndarray:
    """Draw HOG cells as strokes along their edges; the larger a bin, the brighter its stroke.

    A bin of :func:`mmvidssl.models.utils.hog.hog_cells` holds the strength of the gradients of its
    orientation, to which edges are perpendicular: the middle of bin ``k`` of ``n`` is drawn
    ``(k + 1/2) / n`` of the half circle counterclockwise from the horizontal.

    Args:
        histograms: ``(T, h, w, bins)``; 1 is white, 0 and less black.
        cell_size: Side of a cell in the picture, in pixels.
        signed: Bins cover the whole circle.

    Returns:
        ``(T, h * cell_size, w * cell_size)`` uint8.

    Raises:
        ValueError: If ``histograms`` has another number of axes.

    Source: the idea is scikit-image's ``hog(visualize=True)``.
    """
    if histograms.ndim != 4:
        raise ValueError(f'histograms must be (T, h, w, bins), got {histograms.shape}')
    frames, height, width, num_bins = histograms.shape
    picture = np.zeros((frames, height, cell_size, width, cell_size), np.float32)
    for k in range(num_bins):
        angle = (k + 0.5) / num_bins * (2 if signed else 1) * math.pi
        values = histograms[..., k].astype(np.float32)[:, :, None, :, None]
        np.maximum(picture, values * _stroke(angle, cell_size)[:, None], out=picture)
    pixels = (255 * picture.clip(0, 1)).round().astype(np.uint8)
    return pixels.reshape(frames, height * cell_size, width * cell_size)


def _stroke(angle: float, size: int) -> np.ndarray:
    """A line through the middle of ``(size, size)`` pixels, float32 in [0, 1]."""
    y, x = np.mgrid[:size, :size].astype(np.float32) - (size - 1) / 2  # y points down
    along = np.abs(math.cos(angle) * x - math.sin(angle) * y)
    across = np.abs(math.sin(angle) * x + math.cos(angle) * y)
    thickness = max(2, size / 8)
    return (size / 2 - along).clip(0, 1) * ((thickness + 1) / 2 - across).clip(0, 1)
