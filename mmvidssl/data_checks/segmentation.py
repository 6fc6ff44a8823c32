"""Segmentation: values of masks against the classes."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image

from .files import Size
from .findings import Finding, error, warning
from .subject import Subject

IGNORED = 255


def check_mask(subject: Subject, path: str) -> tuple[list[Finding], Counter[int], Size]:
    """Faults of a mask, pixels of each label, and width and height; errors of PIL are raised."""
    with Image.open(path) as image:
        mask, size = np.asarray(image), image.size
    if mask.ndim != 2:
        text = f'{mask.shape[-1]} channels; a mask has one. Convert colours to numbers of classes.'
        return [error(text, path)], Counter(), size
    pixels, number = count_labels(subject.dataset, mask), len(subject.classes)
    if wrong := set(pixels) - {*range(number), IGNORED}:
        first = int(bool(subject.dataset.reduce_zero_label))
        text = (
            f'values {sorted(wrong)[:8]}, which are no classes: with reduce_zero_label='
            f'{bool(first)} and {number} classes, masks may hold {"0 (ignored), " * first}{first} '
            f'to {number - 1 + first} and {IGNORED} (ignored). Write the masks anew, or correct '
            'metainfo.classes, num_classes and reduce_zero_label.'
        )
        return [error(text, path)], pixels, size
    is_empty = set(pixels) == {IGNORED}
    return [warning('nothing but what is ignored', path)] if is_empty else [], pixels, size


def count_labels(dataset: BaseDataset, mask: np.ndarray) -> Counter[int]:
    """Pixels of each label after the data set's own renumbering; values are as in the file."""
    counts = np.bincount(mask.ravel())  # ten times as fast as numpy.unique
    label_map: dict[int, int] = dataset.label_map or {}
    pixels = Counter[int]()
    for value in np.flatnonzero(counts).tolist():
        label = value
        if dataset.reduce_zero_label:
            label = IGNORED if value in (0, IGNORED) else value - 1
        pixels[label_map.get(label, label)] += int(counts[value])
    return pixels


def check_masks(subject: Subject, masks: list[Counter[int]]) -> Iterator[Finding]:
    """Masks that together hold nothing but what is ignored, or 0 and 255; these are counted."""
    pixels: Counter[int] = sum(masks, Counter())
    ignored = pixels.pop(IGNORED, 0)
    subject.counts = pixels
    if ignored and not pixels:
        text = f'masks hold only what is ignored: {IGNORED}, and 0 with reduce_zero_label=True. '
        yield error(f'{text}Number classes from {int(bool(subject.dataset.reduce_zero_label))}.')
    elif ignored and set(pixels) == {0} and len(subject.classes) > 1:
        yield error(f'masks hold 0 and {IGNORED} alone, which is ignored. Write 1 for {IGNORED}.')
