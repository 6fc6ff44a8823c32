"""A data set that is built, the model that it is for, and what its samples say."""

import os
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from torch import nn

from .findings import Finding

FILE_KEYS = ('img_path', 'seg_map_path', 'depth_map_path', 'filename', 'frame_dir', 'video_path')
ON_DISK = (None, 'local', 'disk')
"""MMEngine's and mmaction2's file backends that read from the disk; None: the default."""


class Subject:
    """What every check looks at; all samples are gone through once.

    Args:
        dataset: Of any of the libraries, not wrapped; told apart by what the samples hold.
        name: Where it stands in the config, ``'train_dataloader.dataset'``.
        model: Whose heads are for its classes.
        num_opened: Of how many samples, evenly spaced, to open pictures and masks; None: of all,
            which are read to their end, and of videos too.
    """

    def __init__(
        self, dataset: BaseDataset, name: str, model: nn.Module, num_opened: int | None
    ) -> None:
        self.dataset, self.model, self.num_opened = dataset, model, num_opened
        self.place, self.part = f'{name} ({type(dataset).__name__})', name.partition('_')[0]
        self.files: dict[str, set[str]] = {}  # names by folder: each path is held once
        self.picture_folders: set[str] = set()  # of files, those without masks
        self.counts: Counter[int] = Counter()  # of each label: samples, objects, pixels (opened)
        self.folder_labels: set[tuple[str, int]] = set()  # of samples with one label each
        self.findings: list[Finding] = []
        for index in range(len(dataset)):  # one at a time: together they may not fit into memory
            self._read(dataset.get_data_info(index))
        self.first = dataset.get_data_info(0) if len(dataset) else {}

    def _read(self, info: dict) -> None:
        folder = ''
        for key in FILE_KEYS:
            if isinstance(path := info.get(key), str) and '://' not in path:
                folder, name = os.path.split(path.rstrip('/'))
                self.files.setdefault(folder, set()).add(name)
                if key == 'img_path':
                    self.picture_folders.add(folder)
        objects = (item for item in info.get('instances', ()) if not item.get('ignore_flag'))
        self.counts.update(item['bbox_label'] for item in objects)
        # Of our lists, where mmaction2's data sets have -1 for a line without label.
        unlabelled = -1 if 'video_path' in info else None
        label = info.get('gt_label', info.get('label', unlabelled))
        if isinstance(label, (int, np.integer)):
            self.folder_labels.add((folder, int(label)))
        if label is not None:
            self.counts.update(map(int, np.ravel(label)))

    @property
    def line(self) -> str:
        """What was seen."""
        labels = f', labels {min(self.counts)} to {max(self.counts)}' if self.counts else ''
        numbers = (
            f'{len(self.dataset)} samples, {self.num_files} files, {len(self.classes)} classes'
        )
        return f'{self.place}: {numbers}{labels}'

    @property
    def num_files(self) -> int:
        return sum(map(len, self.files.values()))

    @cached_property
    def backends(self) -> list[str]:
        """Those that read its list or its files, but not from the disk."""
        names = set()
        for part in (self.dataset, *self.dataset.pipeline.transforms):
            names.add(getattr(part, 'io_backend', None))  # mmaction2's
            for key in ('backend_args', 'file_client_args'):
                names.add((getattr(part, key, None) or {}).get('backend'))
        return sorted(name for name in names if name not in ON_DISK)

    @cached_property
    def classes(self) -> tuple[str, ...] | range:
        """Names; numbers where there are none, by the first head if the data set does not say."""
        if 'depth_map_path' in self.first:
            return ()  # NYUv2's classes are scenes
        names = self.dataset.metainfo.get('classes')
        if names is not None and not isinstance(names, str):
            return tuple(names)
        numbers = (head.num_classes for head in heads_of(self.model).values())
        return range(getattr(self.dataset, 'num_classes', None) or next(numbers, 0))


def heads_of(model: nn.Module) -> dict[str, Any]:
    """Heads with a number of classes, and what mixes labels, by their places in the config."""
    parts = {f'model.{name}': module for name, module in model.named_modules()}
    parts = {k: v for k, v in parts.items() if 'Head' in type(v).__name__ and k[-8:] != 'rpn_head'}
    preprocessor: Any = getattr(model, 'data_preprocessor', None)
    augments = getattr(getattr(preprocessor, 'blending', None), 'augments', None) or ()
    parts['data_preprocessor'] = preprocessor  # mmpretrain's stands at the top of a config
    for index, augment in enumerate(augments):
        parts[f'model.data_preprocessor.blending.augments.{index}'] = augment
    return {k: v for k, v in parts.items() if isinstance(getattr(v, 'num_classes', None), int)}


def leaves(dataset: Any) -> Iterator[Any]:
    """The data sets within wrappers that repeat or concatenate."""
    for part in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
        yield from [dataset] if part is None else leaves(part)
