"""Action recognition: lists of videos whose labels are the places of the classes."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmvidssl.utils.text_file import read_lines

CLASS_FILE = 'classes.txt'
"""Beside lists of videos: names of classes, one a line, in the order of their labels."""
NUM_SHOWN = 20


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
        raise ValueError(
            f'{path} must name each class once, a line each, but names {_some(twice) or "none"}'
            f'{" twice" if twice else ""}'
        )
    return names


def check_video_list(
    place: str,
    classes: Sequence[str],
    ann_file: str,
    samples: Iterable[tuple[str, int]],
    is_training: bool = True,
) -> None:
    """Refuse a list of videos whose labels mean other classes than those that are named.

    A label is a number. What it means is told by ``classes.txt`` beside the list, which
    ``tools/datasets/list_videos.py`` writes, and by folders, where each class has one of its name.

    Args:
        place: Of the data set, for the message.
        classes: Names, in the order of their labels.
        ann_file: The list.
        samples: Path, relative to the folder of all videos, and label of each, which is the place
            of a class, or -1 for none.
        is_training: Whether each class needs a video.

    Raises:
        ValueError: says what was found and what was expected.
    """
    file = Path(ann_file).with_name(CLASS_FILE)
    if file.is_file() and (found := read_class_file(file)) != list(classes):
        raise ValueError(
            f'{place}: metainfo.classes is {_some(classes)}, but {file}, by whose order the labels '
            f'of {ann_file} are numbered, has {_some(found)}. Name the classes so, in this order.'
        )
    pairs = {(_first_folder(path), label) for path, label in samples}
    labels = {label for _, label in pairs}
    absent = [f'{name} ({label})' for label, name in enumerate(classes) if label not in labels]
    if absent and is_training:
        raise ValueError(
            f'{place}: {ann_file} has no video of {len(absent)} of the {len(classes)} classes: '
            f'{_some(absent)}. Add videos, or write lists without them (list_videos.py).'
        )
    pairs = {pair for pair in pairs if 0 <= pair[1] < len(classes)}
    folders, labels = {folder for folder, _ in pairs}, {label for _, label in pairs}
    if not len(pairs) == len(folders) == len(labels) or not folders <= set(classes):
        return  # not one folder a label, called like a class
    wrong = sorted((label, folder) for folder, label in pairs if classes[label] != folder)
    if wrong:
        listed = [f'{label} for videos in {folder}/' for label, folder in wrong]
        raise ValueError(
            f'{place}: {ann_file} has the label {_some(listed)}, but metainfo.classes is '
            f'{_some(classes)}, from 0. Name the classes in the order of their labels.'
        )


def _first_folder(path: str) -> str:
    """The first on the way to a file; '' if there is none."""
    first, *rest = Path(path).parts or ('',)
    return first if rest else ''


def _some(items: Sequence) -> str:
    more = f' and {len(items) - NUM_SHOWN} more' if len(items) > NUM_SHOWN else ''
    return ', '.join(map(str, items[:NUM_SHOWN])) + more
