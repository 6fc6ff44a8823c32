"""DAVIS's measures of segmented objects (Perazzi et al. 2016, Pont-Tuset et al. 2017)."""

from typing import NamedTuple

import cv2
import numpy as np

VOID = 255  # counts as background, as in the semi-supervised protocol


class DavisStatistics(NamedTuple):
    """DAVIS's statistics of an object's J or F over time."""

    mean: float
    recall: float
    """Share of values above one half."""
    decay: float
    """Mean of the first quarter minus that of the last."""


def region_similarity(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Region similarity J: intersection over union, 1 where both masks are empty.

    Args:
        pred: bool ``(T, H, W)``.
        gt: bool ``(T, H, W)``.

    Returns:
        ``(T,)``.

    Raises:
        ValueError: If the shapes differ or are not ``(T, H, W)``.
    """
    pred, gt = _as_arrays(pred, gt, bool)
    union = (pred | gt).sum(axis=(1, 2))
    return np.where(union, (pred & gt).sum(axis=(1, 2)) / np.maximum(union, 1), 1.0)


def contour_accuracy(pred: np.ndarray, gt: np.ndarray, tolerance: float = 0.008) -> np.ndarray:
    """Contour accuracy F: the F-measure of the masks' contours.

    A pixel of a contour is correct if the other contour comes within the tolerance, rounded up to
    pixels. Two masks without a contour agree (1), one with and one without do not (0).

    Args:
        pred: bool ``(T, H, W)``.
        gt: bool ``(T, H, W)``.
        tolerance: Share of the frame's diagonal; values of 1 and more are pixels.

    Returns:
        ``(T,)``.

    Raises:
        ValueError: If the shapes differ or are not ``(T, H, W)``, or the tolerance is negative.
    """
    pred, gt = _as_arrays(pred, gt, bool)
    if tolerance < 0:
        raise ValueError(f'tolerance must not be negative, got {tolerance}')
    pixels = tolerance if tolerance >= 1 else np.ceil(tolerance * np.hypot(*gt.shape[1:]))
    steps = np.arange(-int(pixels), int(pixels) + 1)
    disk = (steps[:, None] ** 2 + steps**2 <= pixels**2).astype(np.uint8)
    scores = [
        _contour_score(*pair, disk) for pair in zip(_contours(pred), _contours(gt), strict=True)
    ]
    return np.array(scores, dtype=np.float64)


def _contours(masks: np.ndarray) -> np.ndarray:
    """Contours ``(T, H, W)`` uint8: pixels unlike that to the right, below, or right below."""
    padded = np.pad(masks, ((0, 0), (0, 1), (0, 1)), mode='edge')
    others = padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]
    return np.logical_or.reduce([masks != other for other in others]).astype(np.uint8)


def _contour_score(pred: np.ndarray, gt: np.ndarray, disk: np.ndarray) -> float:
    num_pred, num_gt = int(pred.sum()), int(gt.sum())
    if not num_pred or not num_gt:
        return float(num_pred == num_gt)
    precision = (pred & cv2.dilate(gt, disk)).sum() / num_pred
    recall = (gt & cv2.dilate(pred, disk)).sum() / num_gt
    return 2 * precision * recall / max(precision + recall, np.finfo(float).tiny)


def davis_statistics(values: np.ndarray) -> DavisStatistics:
    """Mean, recall and decay of one object's J or F over time.

    Differs from the released code: that stores the bounds of the quarters in 8 bits, so its decay
    is wrong from 257 frames on. No sequence of DAVIS is as long.

    Args:
        values: ``(T,)``, NaN for frames that do not count.

    Raises:
        ValueError: If no value counts.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or np.isnan(values).all():
        raise ValueError(f'an object needs values of one frame at least, got {values.shape}')
    bounds = (np.round(np.linspace(1, len(values), 5) + 1e-10) - 1).astype(int)
    first, last = values[: bounds[1] + 1], values[bounds[3] :]
    decay = np.nanmean(first) - np.nanmean(last)
    return DavisStatistics(float(np.nanmean(values)), float((values > 0.5).mean()), float(decay))


def davis_scores(pred: np.ndarray, gt: np.ndarray) -> dict[str, np.ndarray | float]:
    """Scores of a sequence by the semi-supervised protocol of DAVIS-2017.

    The objects are those of ids 1 to the highest in ``gt``'s first frame, which is given and does
    not count; nor does the last. Id 255 in ``gt`` is void and counts as background.

    Args:
        pred: Ids ``(T, H, W)``, 0 for background.
        gt: Ids ``(T, H, W)``.

    Returns:
        ``'J'`` and ``'F'``, each ``(O, T - 2)``; ``'J-Mean'``, ``'J-Recall'``, ``'J-Decay'`` and
        those of F, each ``(O,)``; ``'J&F'``, the mean over objects of the mean of both.

    Raises:
        ValueError: If the shapes differ, there are fewer than three frames, no object in the first,
            or a predicted id that is not one of the objects'.
    """
    pred, gt = _as_arrays(pred, gt)
    if len(gt) < 3:
        raise ValueError(f'3 frames are needed (two are not evaluated), got {len(gt)}')
    gt = np.where(gt == VOID, 0, gt)
    num_objects = int(gt[0].max())
    if not num_objects:
        raise ValueError('the first frame has no object of an id below 255, which is void')
    if pred[1:-1].max() > num_objects:
        raise ValueError(f'id {pred[1:-1].max()} is predicted, but there are {num_objects} objects')
    scores: dict[str, np.ndarray | float] = {}
    for name, measure in (('J', region_similarity), ('F', contour_accuracy)):
        values = [measure(pred[1:-1] == i, gt[1:-1] == i) for i in range(1, num_objects + 1)]
        mean, recall, decay = np.array([davis_statistics(part) for part in values]).T
        scores |= {name: np.stack(values), f'{name}-Mean': mean}
        scores |= {f'{name}-Recall': recall, f'{name}-Decay': decay}
    scores['J&F'] = float((np.mean(scores['J-Mean']) + np.mean(scores['F-Mean'])) / 2)
    return scores


def _as_arrays(pred: np.ndarray, gt: np.ndarray, dtype=None) -> tuple[np.ndarray, np.ndarray]:
    pred, gt = np.asarray(pred, dtype), np.asarray(gt, dtype)
    if pred.ndim != 3 or pred.shape != gt.shape:
        raise ValueError(
            f'masks of both must be of one shape (T, H, W), got {pred.shape} and {gt.shape}'
        )
    return pred, gt
