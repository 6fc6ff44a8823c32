"""Helpers for lists: read them from text files, find missing files, show the first few."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path


def read_lines(path: str | os.PathLike) -> list[str]:
    """Lines of a UTF-8 text file without the white space around them; blank ones are left out.

    A byte order mark and the line ends of Windows are removed, too.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, or is not UTF-8.
    """
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 ({error}); save it as UTF-8') from None
    # Not splitlines(), which splits at characters that names may hold, such as U+2028.
    lines = [line.strip() for line in text.split('\n') if line.strip()]
    if not lines:
        raise ValueError(f'{path} is empty; it should list something, one a line')
    return lines


def some(items: Iterable, number: int = 3, between: str = ', ') -> str:
    """Join the first ``number`` items, and tell how many more there are."""
    words = list(map(str, items))
    left = len(words) - number
    return between.join(words[:number]) + (f' and {left} more' if left > 0 else '')


def find_missing(paths: Iterable[str]) -> list[str]:
    """Files that their folders do not list; links count as present, broken ones too."""
    files: dict[str, set[str]] = {}
    for folder, name in map(os.path.split, paths):
        files.setdefault(folder, set()).add(name)
    return compare_with_disk(files, trusts_links=True)[0]


def compare_with_disk(
    files: dict[str, set[str]], trusts_links: bool = False
) -> tuple[list[str], list[str]]:
    """Paths of ``files`` (names by folder) that do not exist, and of others in the same folders.

    Each folder is listed once, several at a time: a network disk answers that with hundreds of
    names at once. Only files that no listing shows are looked up one by one, and links (which may
    be broken), unless ``trusts_links``.
    """
    with ThreadPoolExecutor(16) as pool:
        lists = pool.map(partial(_list_folder, with_links=trusts_links), files)
        listed = dict(zip(files, lists, strict=True))
        left = [os.path.join(d, name) for d in files for name in sorted(files[d] - listed[d])]
        exist = pool.map(os.path.exists, left)
        missing = [path for path, exists in zip(left, exist, strict=True) if not exists]
    return missing, [os.path.join(d, name) for d in files for name in sorted(listed[d] - files[d])]


def _list_folder(folder: str, with_links: bool) -> set[str]:
    """Names in a folder; none if it does not exist or may not be listed."""
    try:
        with os.scandir(folder or '.') as entries:
            return {entry.name for entry in entries if with_links or not entry.is_symlink()}
    except OSError:
        return set()
