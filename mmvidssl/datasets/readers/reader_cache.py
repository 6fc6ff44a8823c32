"""Cache of open video readers, which reopens files that have changed."""

import ctypes
import os
import sys
from collections import OrderedDict
from typing import NamedTuple

from mmvidssl.registry import VIDEO_READERS

from .base import VideoReader, is_proxy
from .errors import VideoChangedError, VideoNotFoundError, class_of_system_error
from .proxy_reader import ProxyReader


class FileStamp(NamedTuple):
    """Size (bytes) and modification time (ns), which tell whether a file is still the same."""

    size: int
    mtime_ns: int


def stamp_of(path: str) -> FileStamp | None:
    """The stamp of a file; None if there is no such file.

    Raises:
        VideoError: the path is not accessible (a folder without permission, a lost disk).
    """
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise class_of_system_error(error)(f'cannot access {path}: {error.strerror}') from error
    return FileStamp(stat.st_size, stat.st_mtime_ns)


def build_reader(path: str, reader: dict) -> VideoReader:
    """Build the reader of a video from its config; for a proxy, always :class:`ProxyReader`.

    Args:
        path: A video or a proxy.
        reader: Config of the reader of videos, without the path.

    Raises:
        VideoError: the file is missing or has no bytes.
    """
    if is_proxy(path):
        return ProxyReader(path)
    # In the scope of a sibling library, MMEngine would warn that it has no such registry.
    return VIDEO_READERS.build(dict(_scope_='mmvidssl') | reader | dict(path=path))


class OpenReader(NamedTuple):
    """A reader, and the stamp of the file when it was opened."""

    reader: VideoReader
    stamp: FileStamp | None


class ReaderCache:
    """Cache of the ``max_open`` most recently used readers.

    A forked process must not use its parent's readers (they share the parent's file position and
    lack its threads): its copy starts empty, and so does a pickled one.

    Args:
        max_open: How many videos stay open; the least recently used one is closed.
    """

    def __init__(self, max_open: int = 4) -> None:
        self.max_open = check_max_open(max_open)
        self._readers: OrderedDict[tuple[str, str], OpenReader] = OrderedDict()
        self._pid = os.getpid()
        self._inherited: OrderedDict | None = None

    def __len__(self) -> int:
        return len(self._readers)

    def get(self, path: str, reader: dict, stamp: FileStamp | None = None) -> VideoReader:
        """The open reader of ``path``, built from the config ``reader`` if there is none.

        A file that has changed is reopened, or refused if a ``stamp`` is given that it lacks.

        Raises:
            VideoError: what the reader raises when built, or the file does not have the ``stamp``.
        """
        self._leave_parent()
        now = stamp_of(path)
        if stamp is not None:
            check_unchanged(path, stamp, now)
        key = (path, repr(sorted(reader.items())))
        if key in self._readers and self._readers[key].stamp != now:
            self._readers.pop(key).reader.close()
        if key not in self._readers:
            self._readers[key] = OpenReader(build_reader(path, reader), now)
        self._readers.move_to_end(key)
        while len(self._readers) > self.max_open:
            self._readers.popitem(last=False)[1].reader.close()
            free_memory()
        return self._readers[key].reader

    def close(self) -> None:
        """Close every reader of this process."""
        self._leave_parent()
        while self._readers:
            self._readers.popitem()[1].reader.close()

    def _leave_parent(self) -> None:
        if self._pid != os.getpid():
            # Kept referenced: their destructors would wait for threads that were not forked.
            self._inherited = self._readers
            self._readers, self._pid = OrderedDict(), os.getpid()

    def __reduce__(self) -> tuple:
        return ReaderCache, (self.max_open,)


def check_max_open(max_open: int) -> int:
    """Check how many videos are to be kept open; returns the number.

    Raises:
        ValueError: if it is not positive.
    """
    if max_open < 1:
        raise ValueError(f'max_open must be at least 1, got {max_open}')
    return max_open


def check_unchanged(path: str, then: FileStamp, now: FileStamp | None) -> None:
    """Refuse a file that was replaced or deleted after its frames had been counted.

    Raises:
        VideoNotFoundError, VideoChangedError: deleted, replaced.
    """
    if now is None:
        raise VideoNotFoundError(f'the video is gone since its frames were counted: {path}')
    if now != then:
        raise VideoChangedError(
            f'the video was replaced or written to since its frames were counted ({then.size} '
            f'bytes then, {now.size} now): {path}. Restart the run to count them again.'
        )


def free_memory() -> None:
    """Return freed memory from glibc's allocator to the system, in about a millisecond.

    Opening and closing decoders of several videos in turn fragments it, so that a process would
    grow over thousands of clips; a single decoder would reuse its own memory.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None
    if trim is not None:
        trim(0)
