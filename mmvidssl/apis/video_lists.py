"""Annotation files for one's own videos."""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.logging import MMLogger

from mmvidssl.data_checks import CLASS_FILE
from mmvidssl.datasets.list_files import VIDEO_SUFFIXES, find_files
from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.utils.listing import some


class VideoLists(NamedTuple):
    """What :func:`list_videos` found: class names in the order of their labels, and how many."""

    classes: list[str]
    num_train: int
    num_val: int


def list_videos(
    folder: str | os.PathLike,
    out: str | os.PathLike,
    val_share: float = 0.2,
    seed: int = 0,
) -> VideoLists:
    """List the videos of a folder with one sub-folder per class.

    Writes ``train.txt`` and ``val.txt`` (``path label`` a line, the path relative to ``folder``)
    and ``classes.txt`` (a name a line, in the order of the labels, which is alphabetical) into
    ``out``. Each class is split on its own, at random. :class:`VideoListDataset` reads them,
    whatever characters names have; mmaction2's ``VideoDataset`` where no path has a space.

    Args:
        folder: The folder; videos may lie deeper in their class's sub-folder.
        out: Where to write; lists of these names are replaced.
        val_share: Share of each class's videos that goes into ``val.txt``, in [0, 1), at least one
            video; with 0 there is no ``val.txt``.
        seed: Seed of the split.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: impossible settings, no sub-folders, videos outside of them, classes with too
            few videos, or paths that hold a line break.
    """
    if not 0 <= val_share < 1:
        raise ValueError(f'val_share must be in [0, 1), got {val_share}')
    videos = _group_by_class(folder)
    train, val = _split(videos, val_share, np.random.default_rng(seed))
    write_lines(Path(out) / 'train.txt', [f'{quoted(path)} {label}' for path, label in train])
    if val:
        write_lines(Path(out) / 'val.txt', [f'{quoted(path)} {label}' for path, label in val])
    else:
        (Path(out) / 'val.txt').unlink(missing_ok=True)  # of another split
    write_lines(Path(out) / CLASS_FILE, list(videos))
    return VideoLists(list(videos), len(train), len(val))


def _group_by_class(folder: str | os.PathLike) -> dict[str, list[str]]:
    """Sorted paths relative to ``folder`` for each of its sub-folders, sorted too."""
    found = [file.path for file in find_files(folder, VIDEO_SUFFIXES)]
    outside = [path for path in found if '/' not in path]
    if outside:
        raise ValueError(
            f'{len(outside)} videos lie in {folder} itself ({some(outside)}), but the sub-folder '
            'of a video tells its class: move them into one'
        )
    names = sorted(
        item.name for item in Path(folder).iterdir() if item.is_dir() and item.name[0] != '.'
    )
    videos: dict[str, list[str]] = {name: [] for name in names}
    for path in found:
        videos[path.split('/')[0]].append(path)
    stems = Counter(os.path.splitext(path)[0] for path in found)
    twins = [path for path in found if stems[os.path.splitext(path)[0]] > 1]
    if twins:
        MMLogger.get_current_instance().warning(
            f'{len(twins)} videos share their folder and name, but for the suffix, with another '
            f'({some(twins)}): if they are the same video, keep one, lest it be in both lists'
        )
    broken = [path for path in found if '\n' in path or '\r' in path]
    if broken:
        raise ValueError(f'{len(broken)} paths hold a line break, rename them: {broken[:3]}')
    empty = [name for name, paths in videos.items() if not paths]
    if empty:
        raise ValueError(
            f'{len(empty)} sub-folders of {folder} hold no video ({some(empty)}): remove them, or '
            f'fill them with files that end in one of {VIDEO_SUFFIXES}'
        )
    return videos


def quoted(path: str) -> str:
    """A path as it stands in a line; in quotes if it begins with white space."""
    return path if path == path.strip() else f'"{path}"'


def _split(
    videos: dict[str, list[str]], val_share: float, rng: np.random.Generator
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Pairs of path and label for training and validation, each sorted by path in its class."""
    lonely = [name for name, paths in videos.items() if len(paths) < 2]
    if lonely and val_share > 0:
        raise ValueError(
            f'{len(lonely)} classes have one video ({some(lonely)}), which cannot be in both '
            'lists: add videos, or use val_share=0'
        )
    train: list[tuple[str, int]] = []
    val: list[tuple[str, int]] = []
    for label, paths in enumerate(videos.values()):
        num_val = min(max(round(val_share * len(paths)), 1), len(paths) - 1) if val_share else 0
        chosen = set(rng.permutation(len(paths))[:num_val].tolist())
        for index, path in enumerate(paths):
            (val if index in chosen else train).append((path, label))
    return train, val


def write_lines(path: Path, lines: list[str]) -> None:
    """Write a text file, a line each, that is whole or not there."""
    with atomic_path(path) as temporary:
        temporary.write_text('\n'.join([*lines, '']), encoding='utf-8')
