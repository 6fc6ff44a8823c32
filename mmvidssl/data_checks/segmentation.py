"""Segmentation: values of masks against the classes."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image

from .files import UNREADABLE, Size
from .findings import Finding, error, warning
from .subject import Subject

IGNORED = 255


def check_masks(subject: Subject, masks: list[Counter[int]]) -> Iterator[Finding]:
    """What masks that were opened show together: nothing but what is ignored, or 0 and 255.

    Args:
        subject: Its ``counts`` become pixels.
        masks: Pixels of each label.
    """
    pixels = Counter[int]()
    for mask in masks:
        pixels.update(mask)
    ignored = pixels.pop(IGNORED, 0)
    subject.counts = pixels
    span = f'{min(pixels)} to {max(pixels)}' if pixels else 'none'
    subject.seen.append(f'classes in {len(masks)} masks: {len(pixels)} ({span})')
    if ignored and not pixels:
        yield error(
            f'masks hold nothing but what is ignored ({IGNORED}, and 0 with reduce_zero_label=True)'
            f': number their classes from {int(bool(subject.dataset.reduce_zero_label))}'
        )
    elif ignored and set(pixels) == {0} and len(subject.classes) > 1:
        yield error(
            f'masks hold 0 and {IGNORED} alone, and {IGNORED} is ignored. Write 1 in its place.'
        )


def check_mask(subject: Subject, path: str) -> tuple[list[Finding], Counter[int], Size | None]:
    """Faults of a mask, pixels of each label, and width and height."""
    dataset, shift = subject.dataset, int(bool(subject.dataset.reduce_zero_label))
    try:
        pixels, size = read_mask(dataset, path)
    except (OSError, SyntaxError, ValueError) as fault:
        text = str(fault) if type(fault) is ValueError else UNREADABLE.format(fault)
        return [error(text, path)], Counter(), None
    number = len(subject.classes)
    wrong = set(pixels) - set(range(number)) - {IGNORED}
    if wrong:
        zero = '0 (ignored), ' if shift else ''
        text = (
            f'values {sorted(wrong)[:8]}, which are no classes: with reduce_zero_label='
            f'{dataset.reduce_zero_label} and {number} classes, masks may hold {zero}{shift} to '
            f'{number - 1 + shift} and {IGNORED} (ignored). Write the masks anew, or correct '
            'metainfo.classes, num_classes and reduce_zero_label.'
        )
        return [error(text, path)], pixels, size
    text = 'nothing but what is ignored in the whole mask'
    return [warning(text, path)] if set(pixels) == {IGNORED} else [], pixels, size


def read_mask(dataset: BaseDataset, path: str) -> tuple[Counter[int], Size]:
    """Pixels of each label after the data set's own renumbering, and width and height.

    Raises:
        ValueError: if the mask has several channels.
        OSError, SyntaxError: if it cannot be read.
    """
    with Image.open(path) as image:
        mask, size = np.asarray(image), image.size
    if mask.ndim != 2:
        raise ValueError(
            f'a picture of {mask.shape[-1]} channels. A mask has one channel, whose values are the '
            "classes' numbers: convert the colours to numbers."
        )
    if mask.dtype == np.uint8:  # ten times as fast
        counts = np.bincount(mask.ravel(), minlength=256)
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(mask, return_counts=True)
    label_map: dict[int, int] = dataset.label_map or {}
    pixels = Counter[int]()
    for value, count in zip(map(int, values), map(int, counts), strict=True):
        if dataset.reduce_zero_label:
            value = IGNORED if value in (0, IGNORED) else value - 1
        pixels[label_map.get(value, value)] += count
    return pixels, size
