"""What the data checks share: the data set under check, findings, and their report."""

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
    """A fault of data; of kind ``UserWarning`` if it may be intended; ``text`` names no file."""

    kind: type[Exception]
    text: str
    file: str = ''


error, warning = partial(Finding, ValueError), partial(Finding, UserWarning)


class Subject:
    """A data set under check, what its samples name, and what was found.

    Args:
        dataset: A data set of any OpenMMLab library, without wrappers.
        name: Its key in the config, ``'train_dataloader.dataset'``.
        model: The model it is for, whose heads are compared with its classes.
        num_opened: Evenly spaced samples whose images and masks are opened; None: all, and videos.
    """

    def __init__(
        self, dataset: BaseDataset, name: str, model: nn.Module, num_opened: int | None
    ) -> None:
        self.dataset, self.model, self.num_opened = dataset, model, num_opened
        self.place, self.part = f'{name} ({type(dataset).__name__})', name.partition('_')[0]
        self.files: dict[str, set[str]] = defaultdict(set)  # names by folder
        self.picture_folders: set[str] = set()
        self.counts: Counter[int] = Counter()  # by label: samples, objects or opened pixels
        self.masks: list[Counter[int]] = []  # pixels by label, of opened masks
        self.folder_labels: set[tuple[str, int]] = set()  # of samples with one label
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
        # Lines without label are -1 in mmaction2's data sets, and have no label in ours.
        label = info.get('gt_label', info.get('label', -1 if 'video_path' in info else None))
        if isinstance(label, (int, np.integer)):
            self.folder_labels.add((folder, int(label)))
        self.counts.update(map(int, np.ravel(() if label is None else label)))

    @property
    def line(self) -> str:
        """Summary of the data set for the log."""
        labels = f', labels {min(self.counts)} to {max(self.counts)}' if self.counts else ''
        numbers = (
            f'{len(self.dataset)} samples, {self.num_files} files, {len(self.classes)} classes'
        )
        return f'{self.place}: {numbers}{labels}'

    @cached_property
    def backends(self) -> list[str]:
        """Storage backends, other than the local disk, that read its list or files."""
        parts = (self.dataset, *self.dataset.pipeline.transforms)
        names = {getattr(part, 'io_backend', None) for part in parts}  # mmaction2's
        for key in ('backend_args', 'file_client_args'):
            names |= {(getattr(part, key, None) or {}).get('backend') for part in parts}
        return sorted(name for name in names if name not in ON_DISK)

    @cached_property
    def classes(self) -> tuple[str, ...] | range:
        """Class names, or a range if there are none, of the data set or else of the first head."""
        names = self.dataset.metainfo.get('classes')
        if 'depth_map_path' in self.first:
            return ()  # NYUv2's classes are scenes
        if names is not None and not isinstance(names, str):
            return tuple(names)
        numbers = (head.num_classes for head in heads_of(self.model).values())
        return range(getattr(self.dataset, 'num_classes', None) or next(numbers, 0))


def heads_of(model: nn.Module) -> dict[str, Any]:
    """Heads, and augmentations such as mixup, that have ``num_classes``, by their config keys."""
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
    """Pass warnings, grouped over files, to ``say``; raise errors as one, of the first's kind."""
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
