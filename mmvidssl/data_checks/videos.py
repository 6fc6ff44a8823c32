"""Classification: lists and folders whose labels are the places of the classes."""

import os
from collections.abc import Iterator
from pathlib import Path

from mmvidssl.utils.text_file import read_lines

from .findings import Finding, error, some, warning
from .subject import Subject

CLASS_FILE = 'classes.txt'
"""Beside lists of videos: names of classes, one a line, in the order of their labels."""


def read_class_file(path: str | os.PathLike) -> list[str]:
    """Names of classes, one a line, in the order of their labels.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has no name, or one twice, or is not UTF-8.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{path} does not exist: write the names of the classes into it, one a line, in the '
            'order of their labels (for folders of videos, tools/datasets/list_videos.py does so)'
        )
    names = read_lines(path)
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        found = f'{some(twice)} twice' if twice else 'none'
        raise ValueError(f'{path} must name each class once, a line each, but names {found}')
    return names


def check_labels(subject: Subject) -> Iterator[Finding]:
    """Labels that are no class, classes without a sample, and names that mean other labels."""
    dataset, classes, labels = subject.dataset, subject.classes, set(subject.counts)
    number, ann_file = len(classes), dataset.ann_file or 'the folders'
    if not number or not labels:
        return
    if not {'instances', 'reduce_zero_label'} & set(subject.first):
        subject.seen.append(f'labels {min(labels)} to {max(labels)}')
        # A list to be tested on may have no labels; mmaction2 writes -1 for them.
        if max(labels) >= number or (min(labels) < 0 and subject.part != 'test'):
            yield error(
                f'the labels go from {min(labels)} to {max(labels)}, but the classes from 0 to '
                f'{number - 1}. Number the classes of {ann_file} from 0, a label in every line, '
                'and set num_classes to how many there are.'
            )
    absent = [f'{classes[label]} ({label})' for label in range(number) if label not in labels]
    is_part = 'reduce_zero_label' in subject.first and subject.num_opened is not None
    if absent and not is_part and subject.part != 'test':
        # Who names classes has samples of each; objects may be rare, and of the names that are the
        # data set's own (ImageNet's) some may do.
        is_stated = isinstance(classes, tuple) and classes != dataset.METAINFO.get('classes')
        is_wrong = subject.part == 'train' and is_stated and subject.folder_labels
        text = f'{ann_file} has nothing of {len(absent)} of the {number} classes: {some(absent)}. '
        yield (error if is_wrong else warning)(text + 'Add some, or leave the classes out.')
    if subject.folder_labels and isinstance(classes, tuple):
        yield from check_names(subject, list(classes))


def check_names(subject: Subject, classes: list[str]) -> Iterator[Finding]:
    """Names that are not those of ``classes.txt`` beside a list, or of folders called like them."""
    ann_file = subject.dataset.ann_file
    file = Path(ann_file).with_name(CLASS_FILE)
    if ann_file and file.is_file() and (found := read_class_file(file)) != classes:
        yield error(
            f'metainfo.classes is {some(classes)}, but {file}, by whose order the labels of '
            f'{ann_file} are numbered, has {some(found)}. Name the classes so, in this order.'
        )
        return
    root = next(iter(subject.dataset.data_prefix.values()), None) or '.'
    pairs = {(Path(os.path.relpath(f, root)).parts, n) for f, n in subject.folder_labels if f}
    named = {(parts[0], n) for parts, n in pairs if parts and 0 <= n < len(classes)}
    folders, labels = {folder for folder, _ in named}, {label for _, label in named}
    if not len(named) == len(folders) == len(labels) or not folders <= set(classes):
        return  # not one folder a label, called like a class
    wrong = sorted((label, folder) for folder, label in named if classes[label] != folder)
    if wrong:
        listed = some(f'{label} for those in {folder}/' for label, folder in wrong)
        yield error(
            f'{ann_file or root} has the label {listed}, but metainfo.classes is {some(classes)}, '
            'from 0. Name the classes in the order of their labels.'
        )
