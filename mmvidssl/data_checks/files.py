"""Files that do not exist, found among hundreds of thousands without asking after each."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

ON_DISK = ('local', 'disk')
"""MMEngine's and mmaction2's file backends that read from the disk."""
NUM_THREADS = 16


def find_missing(paths: Iterable[str]) -> list[str]:
    """Files and folders that do not exist, folder by folder.

    Each folder is listed once, several at a time: a disk in a network answers that with hundreds of
    names, but a question after one file with one answer. Only what a listing does not show as an
    entry of its own is asked for, such as links, which may lead nowhere.
    """
    folders: dict[str, set[str]] = {}
    for path in paths:
        folder, name = os.path.split(path.rstrip('/'))
        folders.setdefault(folder, set()).add(name)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        unlisted = pool.map(_find_unlisted, folders, folders.values())
        left = [path for part in unlisted for path in part]
        exist = pool.map(os.path.exists, left)
        return [path for path, exists in zip(left, exist, strict=True) if not exists]


def _find_unlisted(folder: str, names: set[str]) -> list[str]:
    """Paths of the names that a listing of the folder does not show."""
    try:
        with os.scandir(folder or '.') as entries:
            names = names - {entry.name for entry in entries if not entry.is_symlink()}
    except OSError:
        pass  # no such folder, or one that may be entered but not listed: asking tells
    return [os.path.join(folder, name) for name in sorted(names)]
