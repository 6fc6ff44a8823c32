"""Segmentation: values of masks against the classes."""

from collections.abc import Sequence

import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image

IGNORED = 255


def check_masks(place: str, dataset: BaseDataset, masks: Sequence[str], num_classes: int) -> str:
    """Refuse masks of mmsegmentation whose values are no classes; says which classes were seen.

    Args:
        place: Of the data set, for the message.
        dataset: Its ``reduce_zero_label`` and ``label_map`` renumber the values.
        masks: Paths.
        num_classes: Of the model.

    Raises:
        ValueError: names the mask, its values, and those that it may hold.
    """
    seen: set[int] = set()
    shift = int(bool(dataset.reduce_zero_label))
    for path in masks:
        values = read_mask(dataset, path)
        wrong = values - set(range(num_classes)) - {IGNORED}
        if wrong:
            zero = '0 (ignored), ' if shift else ''
            raise ValueError(
                f'{place}: {path} has the values {sorted(wrong)[:8]}, which are no classes: with '
                f'reduce_zero_label={dataset.reduce_zero_label} and {num_classes} classes, masks '
                f'may hold {zero}{shift} to {num_classes - 1 + shift} and {IGNORED} (ignored). '
                'Write the masks anew, or correct metainfo.classes, num_classes and '
                'reduce_zero_label.'
            )
        seen |= values - {IGNORED}
    span = f'{min(seen)} to {max(seen)}' if seen else 'none'
    return f'classes in {len(masks)} masks: {len(seen)} ({span})'


def read_mask(dataset: BaseDataset, path: str) -> set[int]:
    """Values after the data set's own renumbering.

    Raises:
        ValueError: if the mask has several channels.
    """
    with Image.open(path) as image:
        mask = np.asarray(image)
    if mask.ndim != 2:
        raise ValueError(
            f'{path} is a picture of {mask.shape[-1]} channels. A mask has one channel, whose '
            "values are the classes' numbers: convert the colours to numbers."
        )
    values = {int(value) for value in np.unique(mask)}
    if dataset.reduce_zero_label:
        values = {IGNORED if value in (0, IGNORED) else value - 1 for value in values}
    label_map: dict[int, int] = dataset.label_map or {}
    return {label_map.get(value, value) for value in values}
