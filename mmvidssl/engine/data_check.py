"""Data sets that are there and fit their model.

Data sets are those of mmaction2, mmdetection, mmsegmentation and mmpretrain, told apart by what
they hold and not by their types.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image
from torch import nn

from mmvidssl.utils.coco_classes import check_coco_classes

from .class_counts import check_counts, class_counts
from .listed_classes import check_listed_classes
from .missing_files import Folders, add_path, find_missing

ON_DISK = ('local', 'disk')
FILE_KEYS = ('img_path', 'seg_map_path', 'depth_map_path', 'filename', 'frame_dir')
LABEL_KEYS = ('gt_label', 'label')
IGNORED = 255
NUM_SHOWN = 5


class DataCheck:
    """Looks at all samples of a data set, and opens some of its masks.

    Args:
        dataset: Of any of the libraries, not wrapped.
        name: Where it stands in the config, ``'train_dataloader.dataset'``.
        num_masks: How many segmentation masks to open, of evenly spaced samples.
    """

    def __init__(self, dataset: BaseDataset, name: str, num_masks: int) -> None:
        self.dataset = dataset
        self.name = f'{name} ({type(dataset).__name__})'
        indices = spread(len(dataset), num_masks)
        self.infos = [dataset.get_data_info(index) for index in indices]
        self.labels: set[int] = set()
        self.folders: Folders = {}
        self.elsewhere = sorted(_backends(dataset) - set(ON_DISK))
        for index in range(len(dataset)):  # one at a time: together they may not fit into memory
            self._note(dataset.get_data_info(index))
        self.sources = ', '.join(
            f'{key}={value!r}'
            for key in ('data_root', 'ann_file', 'data_prefix')
            if (value := getattr(dataset, key, None))
        )

    def _note(self, info: dict) -> None:
        for key in FILE_KEYS:
            path = info.get(key)
            if isinstance(path, str) and '://' not in path:
                add_path(path, self.folders)
        for key in LABEL_KEYS:
            if isinstance(info.get(key), (int, np.integer)):
                self.labels.add(int(info[key]))

    def run(self, model: nn.Module) -> str:
        """Check files, number of classes, labels and masks; gives a line that says what was seen.

        Raises:
            FileNotFoundError: if files are missing.
            ValueError: if there is no sample, or classes do not fit those of the model.
        """
        self.check_not_empty()
        files = (
            f'files and masks not looked at, which are read by {", ".join(self.elsewhere)}'
            if self.elsewhere
            else f'{self.check_files()} files, which exist'
        )
        seen = [f'{len(self.dataset)} samples: {files}']
        heads = class_counts(model)
        classes = self.classes
        if heads and classes is not None:
            check_counts(heads, len(classes), f'{self.name} has {len(classes)} classes')
            self.check_categories(classes)
            self.check_list(classes)
            seen.append(f'{len(classes)} classes')
        elif heads:
            check_counts(heads, next(iter(heads.values())), 'parts of the model disagree')
        seen += [*self.check_labels(heads), *self.check_masks(heads)]
        return f'{self.name}: {", ".join(seen)}'

    @property
    def classes(self) -> tuple[str, ...] | range | None:
        """Names of the classes, or numbers where there are no names; None if it does not say."""
        if self.infos and 'depth_map_path' in self.infos[0]:
            return None  # NYUv2's classes are scenes
        names = self.dataset.metainfo.get('classes')
        if isinstance(names, str):
            raise ValueError(
                f'{self.name}: metainfo.classes is the string {names!r}. Of one class, write '
                f'classes=({names!r},), with the comma.'
            )
        if names is not None:
            return tuple(names)
        number = getattr(self.dataset, 'num_classes', None)
        return range(number) if isinstance(number, int) else None

    def check_not_empty(self) -> None:
        """Refuse a data set without samples."""
        if not self.infos:
            raise ValueError(
                f'{self.name} has no samples ({self.sources}). Are the folder, the annotation file '
                'and the suffixes of file names right, and does filter_cfg leave any?'
            )

    def check_files(self) -> int:
        """Number of files (videos, images, masks, folders of frames); all are there."""
        number = sum(map(len, self.folders.values()))
        missing = find_missing(self.folders)
        if missing:
            listed = getattr(self.dataset, 'ann_file', None) or 'its list'
            more = ', ...' if len(missing) > NUM_SHOWN else ''
            raise FileNotFoundError(
                f'{self.name}: {len(missing)} of the {number} files that {listed} names do not '
                f'exist: {", ".join(missing[:NUM_SHOWN])}{more}. Their names are put together from '
                f'{self.sources}; correct those, or take out of the list what is not there.'
            )
        return number

    def check_categories(self, classes: tuple[str, ...] | range) -> None:
        """Refuse names of classes that a COCO annotation file does not have, or in this order."""
        cat_ids = getattr(self.dataset, 'cat_ids', None)
        if cat_ids is not None and not self.elsewhere:
            names = tuple(map(str, classes))
            check_coco_classes(self.name, self.dataset.ann_file, names, cat_ids)

    def check_list(self, classes: tuple[str, ...] | range) -> None:
        """Refuse a list of videos, all of it, whose labels mean other classes than are named."""
        is_list = isinstance(self.infos[0].get('label'), int) and self.dataset.ann_file
        if isinstance(classes, range) or not is_list:
            return  # no names, or not one of mmaction2's with one label a video
        folder = next(iter(self.dataset.data_prefix.values()), None) or ''
        infos = map(self.dataset.get_data_info, range(len(self.dataset)))
        samples = (
            (
                os.path.relpath(info.get('filename', info.get('frame_dir', '..')), folder),
                info['label'],
            )
            for info in infos
        )
        check_listed_classes(
            self.name, classes, self.dataset.ann_file, samples, not self.dataset.test_mode
        )

    def check_labels(self, heads: dict[str, int]) -> Iterator[str]:
        """Refuse labels of samples that no head has a class for."""
        if not self.labels or not heads:
            return
        least, most, num_classes = min(self.labels), max(self.labels), next(iter(heads.values()))
        # A list to be tested on may have no labels; mmaction2 writes -1 for them.
        if most >= num_classes or (least < 0 and not self.dataset.test_mode):
            raise ValueError(
                f'{self.name}: the labels go from {least} to {most}, but '
                f'the {num_classes} classes of the model ({next(iter(heads))}) from 0 to '
                f'{num_classes - 1}. Number the classes of {self.dataset.ann_file or "the list"} '
                'from 0, a label in every line, and set num_classes to how many there are.'
            )
        yield f'labels {least} to {most}'

    def check_masks(self, heads: dict[str, int]) -> Iterator[str]:
        """Refuse segmentation masks whose values are no classes."""
        # mmdetection's panoptic maps, which have no reduce_zero_label, are something else.
        masks = [i.get('seg_map_path') for i in self.infos if 'reduce_zero_label' in i]
        masks = [path for path in masks if path]  # images to be tested on may have none
        if not masks or not heads or self.elsewhere:
            return
        seen: set[int] = set()
        num_classes = min(heads.values())
        for path in masks:
            values = self._read_mask(path)
            wrong = values - set(range(num_classes)) - {IGNORED}
            if wrong:
                raise ValueError(
                    f'{self.name}: {path} has the values {sorted(wrong)[:8]}, which are no '
                    f'classes: with reduce_zero_label={self.dataset.reduce_zero_label} and '
                    f'{num_classes} classes ({next(iter(heads))}), masks may hold '
                    f'{self._allowed(num_classes)}. Write the masks anew, or correct '
                    'metainfo.classes, num_classes and reduce_zero_label.'
                )
            seen |= values
        shown = sorted(seen - {IGNORED})
        span = f'{shown[0]} to {shown[-1]}' if shown else 'none'
        yield f'classes in {len(masks)} masks: {len(shown)} ({span})'

    def _allowed(self, num_classes: int) -> str:
        shift = int(bool(self.dataset.reduce_zero_label))
        zero = '0 (ignored), ' if shift else ''
        return f'{zero}{shift} to {num_classes - 1 + shift} and {IGNORED} (ignored)'

    def _read_mask(self, path: str) -> set[int]:
        """Values after the data set's own renumbering."""
        with Image.open(path) as image:
            mask = np.asarray(image)
        if mask.ndim != 2:
            raise ValueError(
                f'{self.name}: {path} is a picture of {mask.shape[-1]} channels. A mask has one '
                "channel, whose values are the classes' numbers: convert the colours to numbers."
            )
        values = {int(value) for value in np.unique(mask)}
        if self.dataset.reduce_zero_label:
            values = {IGNORED if value in (0, IGNORED) else value - 1 for value in values}
        label_map: dict[int, int] = self.dataset.label_map or {}
        return {label_map.get(value, value) for value in values}


def _backends(dataset: BaseDataset) -> set[str]:
    """MMEngine's file backends that a data set names, for its list or in its pipeline."""
    names = set()
    for part in (dataset, *dataset.pipeline.transforms):
        names.add(getattr(part, 'io_backend', None))  # mmaction2's
        for key in ('backend_args', 'file_client_args'):
            names.add((getattr(part, key, None) or {}).get('backend'))
    return {name for name in names if name}


def spread(length: int, number: int) -> list[int]:
    """At most ``number`` indices below ``length``, evenly spaced, first and last included."""
    return np.unique(np.linspace(0, length - 1, min(length, number)).round().astype(int)).tolist()


def leaves(dataset: Any) -> Iterator[Any]:
    """The data sets within wrappers that repeat or concatenate."""
    if hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from leaves(part)
    elif hasattr(dataset, 'dataset'):
        yield from leaves(dataset.dataset)
    else:
        yield dataset
