"""A data set that is built, the model that it is for, and what its samples say."""

import os
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from torch import nn

FILE_KEYS = ('img_path', 'seg_map_path', 'depth_map_path', 'filename', 'frame_dir', 'video_path')


class Subject:
    """What every check looks at.

    All samples are gone through once; each path is held once, as a name in its folder.

    Args:
        dataset: Of mmaction2, mmdetection, mmsegmentation or mmpretrain, told apart by what they
            hold and not by their types.
        name: Where it stands in the config, ``'train_dataloader.dataset'``.
        model: Whose heads are for its classes.
        num_opened: Of how many samples, evenly spaced, to open pictures and masks; None: of all,
            which are read to their end, and of videos too.

    Attributes:
        files: Names by folder.
        picture_folders: Those with pictures, not masks.
        counts: Samples, objects or (as masks are opened) pixels of each label.
        folder_labels: Folder of a sample that has one label, and the label.
        seen: What to say of it.
    """

    def __init__(
        self, dataset: BaseDataset, name: str, model: nn.Module, num_opened: int | None
    ) -> None:
        self.dataset, self.name, self.model, self.num_opened = dataset, name, model, num_opened
        self.files: dict[str, set[str]] = {}
        self.picture_folders: set[str] = set()
        self.counts: Counter[int] = Counter()
        self.folder_labels: set[tuple[str, int]] = set()
        self.seen: list[str] = []
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
        if 'instances' in info:
            kept = (item for item in info['instances'] if not item.get('ignore_flag'))
            self.counts.update(item['bbox_label'] for item in kept)
            return
        # Of our lists, where mmaction2's data sets have -1 for a line without label.
        unlabelled = -1 if 'video_path' in info else None
        label = info.get('gt_label', info.get('label', unlabelled))
        if isinstance(label, (int, np.integer)):
            self.counts[int(label)] += 1
            self.folder_labels.add((folder, int(label)))
        elif isinstance(label, (list, np.ndarray)):
            self.counts.update(map(int, label))

    @property
    def is_validation(self) -> bool:
        return self.name.startswith('val')

    @property
    def is_training(self) -> bool:
        return not self.dataset.test_mode and not self.is_validation

    @cached_property
    def backends(self) -> set[str]:
        """MMEngine's file backends that it names, for its list or in its pipeline."""
        names = set()
        for part in (self.dataset, *self.dataset.pipeline.transforms):
            names.add(getattr(part, 'io_backend', None))  # mmaction2's
            for key in ('backend_args', 'file_client_args'):
                names.add((getattr(part, key, None) or {}).get('backend'))
        return {name for name in names if name}

    @cached_property
    def own_classes(self) -> tuple[str, ...] | range | None:
        """Names of the classes, or numbers where there are no names; None if it does not say."""
        names = self.dataset.metainfo.get('classes')
        number = getattr(self.dataset, 'num_classes', None)
        if 'depth_map_path' in self.first or isinstance(names, str):
            return None  # NYUv2's classes are scenes
        if names is not None:
            return tuple(names)
        return range(number) if isinstance(number, int) else None

    @cached_property
    def classes(self) -> tuple[str, ...] | range:
        """The same, or those of the first head."""
        if self.own_classes is not None or 'depth_map_path' in self.first:
            return self.own_classes or ()
        return range(next(iter(class_numbers(self.model).values()), 0))

    def opened(self) -> list[int]:
        """Indices of the samples to open."""
        return spread(len(self.dataset), self.num_opened or len(self.dataset))


def class_numbers(model: nn.Module) -> dict[str, int]:
    """``num_classes`` of every head, and of what mixes labels, by its place in the config."""
    numbers = {f'model.{name}': head.num_classes for name, head in heads_of(model)}
    preprocessor = getattr(model, 'data_preprocessor', None)
    # mmpretrain's preprocessor stands at the top of a config.
    numbers['data_preprocessor'] = getattr(preprocessor, 'num_classes', None)
    augments = getattr(getattr(preprocessor, 'blending', None), 'augments', None) or ()
    for index, augment in enumerate(augments):
        place = f'model.data_preprocessor.blending.augments.{index}'
        numbers[place] = getattr(augment, 'num_classes', None)
    return {f'{k}.num_classes': number for k, number in numbers.items() if isinstance(number, int)}


def heads_of(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Heads with a number of classes, by name."""
    for name, module in model.named_modules():
        is_head = 'Head' in type(module).__name__ and not name.endswith('rpn_head')
        if is_head and isinstance(getattr(module, 'num_classes', None), int):
            yield name, module


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
