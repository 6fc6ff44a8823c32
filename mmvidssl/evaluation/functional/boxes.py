"""Overlap of tracked boxes with true ones (GOT-10k, Huang et al. 2019)."""

from collections.abc import Sequence

import numpy as np

THRESHOLDS = np.linspace(0, 1, 101)


def box_overlap(
    pred: np.ndarray, gt: np.ndarray, bound: Sequence[float] | None = None
) -> np.ndarray:
    """Intersection over union of boxes, pair by pair.

    As in GOT-10k's toolkit, which published numbers come from, a box that begins left of the frame
    or above it is not cut but moved inside, in its full size as far as that fits.

    Args:
        pred: ``(N, 4)`` as x, y, w, h.
        gt: ``(N, 4)`` as x, y, w, h.
        bound: Width and height of the frame to which boxes are bounded; None for no bound.

    Returns:
        ``(N,)``; 0 for two boxes without an area.

    Raises:
        ValueError: If the shapes differ or are not ``(N, 4)``.
    """
    boxes = [np.asarray(part, dtype=np.float64) for part in (pred, gt)]
    if boxes[0].shape != boxes[1].shape or boxes[0].shape[1:] != (4,):
        raise ValueError(f'boxes must be (N, 4), got {boxes[0].shape} and {boxes[1].shape}')
    corner, size = np.split(np.stack(boxes), 2, axis=-1)
    if bound is not None:
        corner = np.clip(corner, 0, bound)
        size = np.clip(size, 0, bound - corner)
    start, stop = corner.max(axis=0), (corner + size).min(axis=0)
    shared = np.maximum(stop - start, 0).prod(axis=-1)
    union = size.prod(axis=-1).sum(axis=0) - shared
    return np.clip(shared / (union + np.finfo(float).eps), 0, 1)


def success_statistics(
    overlaps: np.ndarray, visible: np.ndarray | None = None
) -> dict[str, np.ndarray | float]:
    """Average overlap, success rates and success curve of a sequence, by GOT-10k's rules.

    The first frame is given and does not count, nor do frames in which the object is not visible.

    Args:
        overlaps: ``(N,)``.
        visible: ``(N,)``, true or positive where the object is visible; None for everywhere.

    Returns:
        ``'AO'``, their mean; ``'SR50'`` and ``'SR75'``, shares above 0.5 and 0.75; ``'curve'``
        ``(101,)``, shares above 0, 0.01, ..., 1.

    Raises:
        ValueError: If the shapes differ, or no frame counts.
    """
    overlaps = np.asarray(overlaps, dtype=np.float64)
    counts = np.ones(overlaps.shape, bool) if visible is None else np.asarray(visible) > 0
    if overlaps.ndim != 1 or overlaps.shape != counts.shape:
        raise ValueError(f'overlaps and visible must be (N,), got {overlaps.shape}, {counts.shape}')
    counted = overlaps[1:][counts[1:]]
    if not len(counted):
        raise ValueError('the object is not visible in any frame after the first')
    curve = (counted[:, None] > THRESHOLDS).mean(axis=0)
    return dict(AO=float(counted.mean()), SR50=float(curve[50]), SR75=float(curve[75]), curve=curve)
