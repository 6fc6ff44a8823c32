"""Checks of classification data: labels of lists and class folders against class names."""

import os
from collections.abc import Iterator
from pathlib import Path

from mmvidssl.utils.listing import read_lines, some

from .subject import Finding, Subject, error, warning

CLASS_FILE = 'classes.txt'  # beside lists of videos


def read_class_file(path: str | os.PathLike) -> list[str]:
    """Read class names, one a line, in the order of their labels.

    Raises FileNotFoundError, or ValueError if it is empty, repeats a name, or is not UTF-8.
    """
    if not Path(path).is_file():
        text = f'{path} does not exist: write the names of the classes into it, one a line, in the '
        raise FileNotFoundError(f'{text}order of their labels (tools/datasets/list_videos.py does)')
    names = read_lines(path)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f'{path} must name each class once, but names {some(twice)} twice')
    return names


def find_class_folders(folder: str | os.PathLike) -> list[str]:
    """Names of a folder's sub-folders, sorted: the classes, as mmpretrain numbers them.

    Raises FileNotFoundError, or ValueError if there is none, or a hidden one (a class, too).
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'{folder} does not exist: it should hold a folder for each class')
    names = sorted(item.name for item in Path(folder).iterdir() if item.is_dir())
    hidden = [name for name in names if name.startswith('.')]
    if hidden or not names:
        found = f'{hidden}, which mmpretrain takes for classes: remove them' if hidden else 'none'
        raise ValueError(f'{folder} should hold a folder of images for each class, but has {found}')
    return names


def check_labels(subject: Subject) -> Iterator[Finding]:
    """Find labels outside the classes, classes without samples, and misordered class names."""
    dataset, classes, counts = subject.dataset, subject.classes, subject.counts
    number, ann_file = len(classes), dataset.ann_file or 'the folders'
    is_masks, is_test = 'reduce_zero_label' in subject.first, subject.part == 'test'
    if not number or not counts:
        return
    first, last = min(counts), max(counts)
    # A test list may lack labels (mmaction2's -1); wrong masks are named by check_mask.
    if not is_masks and (last >= number or (first < 0 and not is_test)):
        text = f'go from {first} to {last}, but classes from 0 to {number - 1}. Write one in every '
        yield error(f'the labels of {ann_file} {text}line; set num_classes to how many there are.')
        return
    absent = [f'{classes[label]} ({label})' for label in range(number) if label not in counts]
    if absent and not is_test and not (is_masks and subject.num_opened):
        # Classes named in the config need samples of each; ImageNet's own, and objects, do not.
        is_stated = isinstance(classes, tuple) and classes != dataset.METAINFO.get('classes')
        is_wrong = subject.part == 'train' and is_stated and subject.folder_labels
        text = f'nothing of {len(absent)} of the {number} classes in {ann_file}: {some(absent, 20)}'
        yield (error if is_wrong else warning)(f'{text}. Add some, or leave the classes out.')
    if subject.folder_labels and isinstance(classes, tuple):
        yield from check_names(subject, list(classes))


def check_names(subject: Subject, classes: list[str]) -> Iterator[Finding]:
    """Find class names that contradict ``classes.txt`` beside the list, or the class folders."""
    ann_file, dataset = subject.dataset.ann_file, subject.dataset
    root = next(iter(dataset.data_prefix.values()), None) or '.'
    folders = list(getattr(dataset, 'folder_to_idx', None) or ())  # mmpretrain's, by label
    file = Path(os.path.dirname(ann_file), CLASS_FILE) if ann_file else Path()
    named = read_class_file(file) if file.is_file() else folders
    if (file.is_file() or set(folders) & set(classes)) and named != classes:
        where = f'{file}, by whose order labels are numbered,' if file.is_file() else f'{root}/*'
        text = f'metainfo.classes is {some(classes, 20)}, but {where} has {some(named, 20)}'
        yield error(f'{text} (in one alone: {sorted({*classes} ^ {*named})}). Make both the same.')
        return
    pairs = {(Path(os.path.relpath(f, root)).parts, n) for f, n in subject.folder_labels if f}
    firsts = {(parts[0], n) for parts, n in pairs if parts and 0 <= n < len(classes)}
    if not len(firsts) == len(dict(firsts)) == len({n for _, n in firsts}):
        return  # folders and labels do not match one to one
    wrong = sorted((n, folder) for folder, n in firsts if classes[n] != folder)
    if wrong and {folder for folder, _ in firsts} <= set(classes):
        listed = some(f'{n} for videos in {folder}/' for n, folder in wrong)
        text = f'has the label {listed}, but metainfo.classes is {some(classes, 20)}, from 0. Name '
        yield error(f'{ann_file} {text}the classes in the order of their labels.')
