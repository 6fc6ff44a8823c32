"""Single-object discovery: the box of one object from the features or the attention of a picture.

Arrays (or tensors on the CPU) in; boxes are NumPy integers x0, y0, x1, y1 in pixels, from edge to
edge of patches: where a picture was padded, they may end outside it. Wrong shapes, values that are
not finite and pictures in which no object can be told apart raise a ``ValueError``.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import linalg, ndimage
from torchvision.ops import box_iou

MIN_OVERLAP = 0.5


def lost_box(features: ArrayLike, k: int, patch_size: int) -> np.ndarray:
    """Box of LOST (Siméoni et al., 2021): the patch least similar to others, and those like it.

    The seed is the patch of the lowest degree, which has the fewest positive products with others.
    Of the ``k`` patches of the lowest degrees, those with a positive product with the seed join it.
    The object is the connected component, around the seed, of the patches whose products with all
    of these have a positive sum.

    Args:
        features: ``(h, w, D)``; published with the last block's keys, heads concatenated.
        k: Number of patches that may join the seed, itself among them; published with 100.
        patch_size: Side of a patch in pixels.

    Differs from the reference: patches of equal degree are taken in order; there in any.
    """
    patches, grid = _patches(features)
    if k < 1:
        raise ValueError(f'k must be 1 or more, got {k}')
    affinity = patches @ patches.T
    positive = affinity > 0
    np.fill_diagonal(positive, False)
    order = positive.sum(axis=1).argsort(kind='stable')
    seed, candidates = order[0], order[:k]
    similar = candidates[affinity[seed, candidates] > 0]
    return _component_box(affinity[similar].sum(axis=0).reshape(grid) > 0, seed, patch_size)


def tokencut_box(
    features: ArrayLike, patch_size: int, tau: float = 0.2, eps: float = 1e-5
) -> np.ndarray:
    """Box of TokenCut (Wang et al., 2022): one side of a normalised cut of the patches.

    Edges weigh 1 where the cosine exceeds ``tau``, else ``eps``. The eigenvector of the second
    smallest generalised eigenvalue is split at its mean; the object is the connected component, on
    its own side, of the patch of the largest absolute value. As in the reference.

    Args:
        features: ``(h, w, D)``; published with the same as :func:`lost_box`.
        patch_size: Side of a patch in pixels.
        tau: Least cosine of neighbours.
        eps: Weight of the other edges.
    """
    patches, grid = _patches(features)
    if len(patches) < 2:
        raise ValueError('one patch cannot be divided; use a larger picture')
    patches = patches / np.linalg.norm(patches, axis=1, keepdims=True).clip(1e-12)
    weights = np.where(patches @ patches.T > tau, 1.0, eps)
    degree = np.diag(weights.sum(axis=1))
    # As in the reference the third is computed too: for equal eigenvalues it changes the second.
    subset = [1, min(2, len(patches) - 1)]
    vector = linalg.eigh(degree - weights, degree, subset_by_index=subset)[1][:, 0]
    seed = np.abs(vector).argmax()
    above = vector > vector.mean()
    return _component_box((above == above[seed]).reshape(grid), seed, patch_size)


def attention_box(
    attention: ArrayLike, patch_size: int, threshold: float = 0.6, as_published: bool = True
) -> np.ndarray:
    """Box of the largest connected part of what a class token attends to ("DINO-seg").

    Args:
        attention: ``(h, w)`` from the class token to the patches, of one head or a mean.
        patch_size: Side of a patch in pixels.
        threshold: Share of the attention's sum that is kept, see :func:`attention_jaccard`.
        as_published: Published numbers (LOST, table 1) come from code that never takes the last
            component in reading order and, if there is only one, takes the background instead.
            False takes the largest component.
    """
    attention = np.asarray(attention)
    if attention.ndim != 2:
        raise ValueError(f'attention must be (h, w), got {attention.shape}')
    labels, count = ndimage.label(_kept_mass(attention[None], threshold)[0])
    sizes = np.bincount(labels.ravel())
    taken = sizes[1:-1] if as_published else sizes[1:]
    largest = 1 + taken.argmax() if len(taken) else 0
    return _box(labels == (largest if sizes[largest] else count), patch_size)


def corloc(boxes: ArrayLike, gt: Sequence[ArrayLike]) -> float:
    """CorLoc: share in ``[0, 1]`` of pictures whose box has an IoU >= 0.5 with any true one.

    Args:
        boxes: ``(N, 4)`` as x0, y0, x1, y1, one a picture.
        gt: For each picture its true boxes, ``(M, 4)``. A picture without any counts as missed.
    """
    boxes = np.asarray(boxes, dtype=float)
    if not len(boxes) or boxes.shape != (len(gt), 4):
        raise ValueError(f'corloc needs a box for each of {len(gt)} pictures, got {boxes.shape}')
    hits = 0
    for box, truth in zip(boxes, gt, strict=True):
        pair = (torch.from_numpy(np.array(b, dtype=float).reshape(-1, 4)) for b in (box, truth))
        hits += bool((box_iou(*pair) >= MIN_OVERLAP).any())
    return hits / len(boxes)


def attention_jaccard(attention: ArrayLike, gt_masks: ArrayLike, threshold: float = 0.6) -> float:
    """Jaccard similarity of a picture's classes, each with its best head (DINO, section 5).

    A head's mask is its largest values that together reach ``threshold`` of its sum, enlarged by
    nearest neighbour. Returned is the mean over classes; a data set's is the mean over pictures.

    Args:
        attention: ``(heads, h, w)`` from the class token to the patches.
        gt_masks: ``(C, H, W)`` bool, one a class (or object); empty ones are left out.
        threshold: In ``(0, 1)``: 0.6 in DINO, 0.9 in the published code of the measure (IPViT's).

    Void: that code means to leave out the void border of VOC's masks, but does not: attention there
    counts as wrong for every class. So it does here, where void is in no mask.
    """
    attention, masks = np.asarray(attention), np.asarray(gt_masks, dtype=bool)
    if attention.ndim != 3 or masks.ndim != 3:
        raise ValueError(
            'attention must be (heads, h, w) and gt_masks (C, H, W), got '
            f'{attention.shape} and {masks.shape}'
        )
    masks = masks[masks.any(axis=(1, 2))]
    if not len(masks):
        raise ValueError('a picture without any pixel of a class has no Jaccard similarity')
    kept = _kept_mass(attention, threshold)
    rows, columns = (
        np.arange(size) * cells // size
        for size, cells in zip(masks.shape[1:], kept.shape[1:], strict=True)
    )
    kept = kept[:, rows[:, None], columns]
    both = np.einsum('phw,chw->cp', kept, masks, dtype=np.int64)
    union = kept.sum(axis=(1, 2)) + masks.sum(axis=(1, 2))[:, None] - both
    return float((both / union).max(axis=1).mean())


def _patches(features: ArrayLike) -> tuple[np.ndarray, tuple[int, int]]:
    """``(h, w, D)`` -> ``(h * w, D)`` and ``(h, w)``."""
    features = np.asarray(features)
    if features.ndim != 3 or not features.size or not np.isfinite(features).all():
        raise ValueError(f'features must be finite (h, w, D), got {features.shape}')
    return features.reshape(-1, features.shape[-1]), features.shape[:2]


def _component_box(mask: np.ndarray, seed: int, patch_size: int) -> np.ndarray:
    """The box of the connected component of ``mask`` that holds patch number ``seed``."""
    labels, _ = ndimage.label(mask)
    if not labels.flat[seed]:
        raise ValueError('the features of the seed patch are all 0, so no object can be found')
    return _box(labels == labels.flat[seed], patch_size)


def _box(mask: np.ndarray, patch_size: int) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return patch_size * np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def _kept_mass(attention: np.ndarray, threshold: float) -> np.ndarray:
    """``(heads, h, w)`` -> bool: the largest values, which reach ``threshold`` of the sum."""
    if not 0 < threshold < 1:
        raise ValueError(f'threshold must lie between 0 and 1, got {threshold}')
    values = attention.reshape(len(attention), -1).astype(float)
    total = values.sum(axis=1, keepdims=True)
    if not (np.isfinite(total) & (total > 0)).all():
        raise ValueError('attention of each head must have a positive finite sum')
    order = values.argsort(axis=1, kind='stable')
    mass = np.take_along_axis(values, order, axis=1).cumsum(axis=1) / total
    kept = np.empty(values.shape, dtype=bool)
    np.put_along_axis(kept, order, mass > 1 - threshold, axis=1)
    return kept.reshape(attention.shape)
