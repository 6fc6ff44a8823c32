"""Files that do not exist, found among hundreds of thousands without asking after each."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

NUM_THREADS = 16
ENTRIES_PER_NAME = 50
"""How many entries of a folder are listed, for each name looked for, before names are asked for."""
CHUNK = 256

Folders = dict[str, set[str]]
"""Names looked for, by their folder."""


def add_path(path: str, folders: Folders) -> None:
    """Note that a file, or folder, is to be looked for."""
    folder, name = os.path.split(path.rstrip('/'))
    folders.setdefault(folder, set()).add(name)


def find_missing(folders: Mapping[str, set[str]]) -> list[str]:
    """What does not exist, folder by folder.

    Each folder is listed once: a disk in a network answers that with hundreds of names at a time,
    but a question after one file with one answer. Only what the listing does not show as a file of
    its own is asked for, such as links, which may lead nowhere. Listings and questions go out from
    several threads.

    Args:
        folders: Names by folder, see :func:`add_path`.
    """
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        gone: list[str] = []
        unlisted: list[str] = []
        left = pool.map(_find_unlisted, folders, folders.values())
        for folder, names in zip(folders, left, strict=True):
            if names:
                paths = [os.path.join(folder, name) for name in sorted(names)]
                (unlisted if os.path.isdir(folder or '.') else gone).extend(paths)
        chunks = [unlisted[start : start + CHUNK] for start in range(0, len(unlisted), CHUNK)]
        return gone + [path for part in pool.map(_ask, chunks) for path in part]


def _find_unlisted(folder: str, names: set[str]) -> set[str]:
    """Names that a folder does not list; few are not worth the listing of a large folder."""
    left, limit = set(names), ENTRIES_PER_NAME * len(names)
    try:
        with os.scandir(folder or '.') as entries:
            for number, entry in enumerate(entries):
                if entry.name in left and not entry.is_symlink():
                    left.discard(entry.name)
                if not left or number >= limit:
                    break
    except OSError:
        pass  # no such folder, or one that may be entered but not listed: asking tells
    return left


def _ask(paths: list[str]) -> list[str]:
    return [path for path in paths if not os.path.exists(path)]
