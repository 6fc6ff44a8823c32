"""What a check looks at and what it finds, and the one place that says it."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset
from torch import nn

from mmvidssl.utils.listing import some
from mmvidssl.utils.progress import progress

FILE_KEYS = ('img_path', 'seg_map_path', 'depth_map_path', 'filename', 'frame_dir', 'video_path')
ON_DISK = (None, 'local', 'disk')  # MMEngine's and mmaction2's backends; None: the default


class Finding(NamedTuple):
    """A fault of data: ``UserWarning`` if it may be meant; the text is the same for all files."""

    kind: type[Exception]
    text: str
    file: str = ''


error, warning = partial(Finding, ValueError), partial(Finding, UserWarning)


class Subject:
    """What all samples of a data set say, of any of the libraries, not wrapped.

    Args:
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
        self.files: dict[str, set[str]] = defaultdict(set)  # by folder: each path is held once
        self.picture_folders: set[str] = set()
        self.counts: Counter[int] = Counter()  # of each label: samples, objects, pixels (opened)
        self.masks: list[Counter[int]] = []  # pixels of each label in those that are opened
        self.folder_labels: set[tuple[str, int]] = set()  # of samples with one label each
        self.findings: list[Finding] = []
        # One at a time: together they may not fit into memory.
        for index in progress(range(len(dataset)), f'reading {self.part}'):
            self._read(dataset.get_data_info(index))
        self.first = dataset.get_data_info(0) if len(dataset) else {}
        self.num_files = sum(map(len, self.files.values()))

    def _read(self, info: dict) -> None:
        folder = ''
        for key in FILE_KEYS:
            if isinstance(path := info.get(key), str) and '://' not in path:
                folder, name = os.path.split(path.rstrip('/'))
                self.files[folder].add(name)
                self.picture_folders |= {folder} if key == 'img_path' else set()
        objects = (item for item in info.get('instances', ()) if not item.get('ignore_flag'))
        self.counts.update(item['bbox_label'] for item in objects)
        # Of our lists, where mmaction2's data sets have -1 for a line without label.
        label = info.get('gt_label', info.get('label', -1 if 'video_path' in info else None))
        if isinstance(label, (int, np.integer)):
            self.folder_labels.add((folder, int(label)))
        self.counts.update(map(int, np.ravel(() if label is None else label)))

    @property
    def line(self) -> str:
        """What was seen."""
        labels = f', labels {min(self.counts)} to {max(self.counts)}' if self.counts else ''
        numbers = (
            f'{len(self.dataset)} samples, {self.num_files} files, {len(self.classes)} classes'
        )
        return f'{self.place}: {numbers}{labels}'

    @cached_property
    def backends(self) -> list[str]:
        """Those that read its list or its files, but not from the disk."""
        parts = (self.dataset, *self.dataset.pipeline.transforms)
        names = {getattr(part, 'io_backend', None) for part in parts}  # mmaction2's
        for key in ('backend_args', 'file_client_args'):
            names |= {(getattr(part, key, None) or {}).get('backend') for part in parts}
        return sorted(name for name in names if name not in ON_DISK)

    @cached_property
    def classes(self) -> tuple[str, ...] | range:
        """Names; numbers where there are none, by the first head if the data set does not say."""
        names = self.dataset.metainfo.get('classes')
        if 'depth_map_path' in self.first:
            return ()  # NYUv2's classes are scenes
        if names is not None and not isinstance(names, str):
            return tuple(names)
        numbers = (head.num_classes for head in heads_of(self.model).values())
        return range(getattr(self.dataset, 'num_classes', None) or next(numbers, 0))


def heads_of(model: nn.Module) -> dict[str, Any]:
    """Heads with a number of classes, and what mixes labels, by their places in the config."""
    parts = {f'model.{name}': module for name, module in model.named_modules()}
    parts = {k: v for k, v in parts.items() if 'Head' in type(v).__name__ and k[-8:] != 'rpn_head'}
    part = parts['data_preprocessor'] = getattr(model, 'data_preprocessor', None)  # mmpretrain's
    for index, augment in enumerate(getattr(getattr(part, 'blending', None), 'augments', ())):
        parts[f'model.data_preprocessor.blending.augments.{index}'] = augment
    return {k: v for k, v in parts.items() if isinstance(getattr(v, 'num_classes', None), int)}


def leaves(dataset: Any) -> Iterator[Any]:
    """The data sets within wrappers that repeat or concatenate."""
    for part in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
        yield from [dataset] if part is None else leaves(part)


def refuse(place: str, findings: Iterable[Finding], say: Callable[[str], object]) -> None:
    """Say what may be meant, once for all files; raise the rest as one, of the first's kind."""
    files: dict[tuple[type[Exception], str], list[str]] = {}
    for kind, text, file in findings:
        files.setdefault((kind, text), []).extend([file] if file else [])
    wrong: dict[str, type[Exception]] = {}
    for (kind, text), names in files.items():
        line = ': '.join(filter(None, (place, some(names, 5), text)))
        if issubclass(kind, Warning):
            say(line)
        else:
            wrong[line] = kind
    if wrong:
        raise next(iter(wrong.values()))('\n'.join(wrong))
