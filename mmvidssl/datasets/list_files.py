"""Lists of the files of a data set: read from a text file, or found in a folder."""

import functools
import mimetypes
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.logging import MMLogger

from mmvidssl.utils.listing import read_lines, some

from .readers import PROXY_SUFFIX, check_is_local, is_proxy, proxy_stem, read_manifest

VIDEO_SUFFIXES = (
    '.3g2', '.3gp', '.asf', '.avi', '.divx', '.dv', '.f4v', '.flv', '.gif', '.m1v', '.m2t',
    '.m2ts', '.m2v', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.mts', '.mxf', '.ogv',
    '.qt', '.rm', '.rmvb', '.ts', '.vob', '.webm', '.wmv',
)  # fmt: skip
IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')
KNOWN_TYPES = mimetypes.MimeTypes()  # the standard library's, without the system's

# A path, which may hold spaces, and the numbers after it
LINE = re.compile(r'(?P<path>.+?)(?P<numbers>([\s,;]+-?\d+)*)[,;]?')


class ListedFile(NamedTuple):
    """A path as listed (relative to the data set's prefix), and its label if there is one."""

    path: str
    label: int | list[int] | None = None


def read_file_list(ann_file: str | os.PathLike) -> list[ListedFile]:
    """Read a list of files, one a line.

    A line is ``path``, ``path label`` (mmaction2), ``path label label ...`` (mmaction2, several
    classes; the label is then a list), ``path,label`` (PySlowFast) or ``path;label``; the path may
    hold spaces, commas and any other characters, and stand in quotes. Negative labels are dropped:
    -1 means unlabelled. The file is UTF-8, with or without Windows' line ends and byte order mark.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: nothing is listed, or the file is not UTF-8.
    """
    if not Path(ann_file).is_file():
        check_is_local(ann_file)
        raise FileNotFoundError(
            f'no such ann_file (a path a line, with or without label): {ann_file}'
        )
    return [_parse_line(line) for line in read_lines(ann_file)]


def _parse_line(line: str) -> ListedFile:
    match = LINE.fullmatch(line)
    if match is None:  # a lone comma
        return ListedFile(line)
    labels = [int(number) for number in re.split(r'[\s,;]+', match['numbers']) if number]
    labels = [label for label in labels if label >= 0]
    path = match['path']
    if len(path) > 2 and path[0] == path[-1] and path[0] in '"\'':
        path = path[1:-1]
    return ListedFile(path, labels[0] if len(labels) == 1 else labels or None)


def find_files(folder: str | os.PathLike, suffixes: Sequence[str]) -> list[ListedFile]:
    """Find the files in a folder and below that end in one of ``suffixes``, sorted by path.

    Suffixes match in upper and lower case. Links are followed; hidden files (macOS leaves
    ``._name`` beside files copied from it) and folders are skipped. A warning names files with an
    unknown suffix that may be videos or images.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no such file, or a video and its proxy.
    """
    if not Path(folder).is_dir():
        check_is_local(folder)
        raise FileNotFoundError(f'no such folder: {folder}')
    found = []
    unknown: dict[str, list[str]] = {}  # by suffix
    for place, folders, names in _walk(os.fspath(folder)):
        folders[:] = [name for name in folders if not name.startswith('.')]
        below = os.path.relpath(place, folder)
        for name in names:
            path = os.path.normpath(os.path.join(below, name))
            if name.startswith('.'):
                continue
            if name.lower().endswith(tuple(suffixes)):
                found.append(path)
            elif _is_unknown(name):
                unknown.setdefault(os.path.splitext(name)[1].lower(), []).append(path)
    if unknown:
        what = [
            f'{len(p)} {suffix or "without suffix"} ({some(p)})' for suffix, p in unknown.items()
        ]
        MMLogger.get_current_instance().warning(
            f'left out of {folder}, since the suffix is not known: {"; ".join(what)}. Give videos '
            'and images among them their usual suffix, or name it in suffixes=[...] of the data set'
        )
    if not found:
        raise ValueError(f'no file in {folder} or below it ends in one of {tuple(suffixes)}')
    _check_for_doubles(folder, found)
    return [ListedFile(Path(path).as_posix()) for path in sorted(found)]


def _is_unknown(name: str) -> bool:
    """Whether a file of an unknown suffix may be a video or an image."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES):
        return False
    kind = KNOWN_TYPES.guess_type(f'file{suffix}')[0]
    return kind is None or kind.startswith(('video/', 'image/'))


def _check_for_doubles(folder: str | os.PathLike, found: Sequence[str]) -> None:
    """Refuse a folder with a video and its proxy below it, which would count twice."""
    proxies: dict[str, list[str]] = {}
    for path in filter(is_proxy, found):
        proxies.setdefault(proxy_stem(path), []).append(path)
    source_of = functools.cache(_source_of)
    for path in found if proxies else ():
        for proxy in () if is_proxy(path) else proxies.get(proxy_stem(path), ()):
            is_beside = os.path.dirname(path) == os.path.dirname(proxy)
            name_and_size = os.path.basename(path), _size_of(os.path.join(folder, path))
            if is_beside or source_of(os.path.join(folder, proxy)) == name_and_size:
                raise ValueError(
                    f'{folder} holds {path} and its proxy {proxy}: move the proxies to a folder of '
                    f'their own, or choose by suffixes=[{PROXY_SUFFIX!r}]'
                )


def _source_of(proxy: str) -> tuple[str, int] | None:
    """Name and bytes of the video a proxy was made from; None without a valid manifest."""
    try:
        source = read_manifest(proxy)['source']
    except OSError:
        return None
    return source['name'], source['bytes']


def _size_of(path: str) -> int:
    """Bytes of a file; -1 for a broken link."""
    return os.path.getsize(path) if os.path.exists(path) else -1


def _walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """``os.walk`` that follows links but visits each folder once, so that links do not loop."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield place, folders, names
