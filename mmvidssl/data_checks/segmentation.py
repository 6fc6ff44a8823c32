"""Checks of segmentation data: values of masks against the classes."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from mmengine.dataset import BaseDataset

from .subject import Finding, Subject, error, warning

IGNORED = 255


def check_mask(subject: Subject, mask: np.ndarray, path: str) -> Iterator[Finding]:
    """Find faults of a mask, and append its pixels by label to ``subject.masks``."""
    number, first = len(subject.classes), int(bool(subject.dataset.reduce_zero_label))
    pixels = Counter[int]() if mask.ndim != 2 else count_labels(subject.dataset, mask)
    subject.masks.append(pixels)
    if mask.ndim != 2:
        text = f'{mask.shape[-1]} channels; a mask has one. Convert colours to numbers of classes.'
        yield error(text, path)
    elif ((mask > IGNORED) & (mask != 0xFFFF)).any():
        text = f'values up to {mask.max()}, of which mmsegmentation keeps 8 bits: 300 is read as 44'
        yield error(f'{text}. Write masks of 8 bits, classes from 0 to 254.', path)
    elif wrong := set(pixels) - {*range(number), IGNORED}:
        values = sorted(label + first for label in wrong)[:8]
        may = f'{"0 (ignored), " * first}{first} to {number - 1 + first} and {IGNORED} (ignored)'
        text = (
            f'values {values}, but {number} classes and reduce_zero_label={bool(first)} are {may}'
        )
        yield error(f'{text}. Correct the masks, or these and num_classes.', path)
    elif set(pixels) == {IGNORED}:
        yield warning('nothing but what is ignored', path)


def count_labels(dataset: BaseDataset, mask: np.ndarray) -> Counter[int]:
    """Pixels by label after the data set's renumbering, in 8 bits as mmsegmentation reads them."""
    counts = np.bincount(mask.astype(np.uint8).ravel())  # ten times as fast as numpy.unique
    first, label_map = int(bool(dataset.reduce_zero_label)), dataset.label_map or {}
    pixels = Counter[int]()
    for value in np.flatnonzero(counts).tolist():
        label = IGNORED if first and value in (0, IGNORED) else value - first
        pixels[label_map.get(label, label)] += int(counts[value])
    return pixels


def check_masks(subject: Subject) -> Iterator[Finding]:
    """Count the labels of all masks; find if they are ignored ones alone, or 0 and 255."""
    subject.counts = sum(subject.masks, Counter())
    ignored, first = subject.counts.pop(IGNORED, 0), int(bool(subject.dataset.reduce_zero_label))
    if ignored and not subject.counts:
        yield error(f'masks hold 255 alone, or 0 with reduce_zero_label: classes begin at {first}')
    elif ignored and set(subject.counts) == {0} and len(subject.classes) > 1:
        yield error(f'masks hold 0 and {IGNORED} alone, which is ignored. Write 1 for {IGNORED}.')
    elif subject.part == 'val' and 'seg_map_path' not in subject.first:
        yield error('no masks (data_prefix.seg_map_path): nothing to measure by')
