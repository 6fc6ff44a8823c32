"""Keeping a few videos open."""

import os
from collections import OrderedDict
from typing import NamedTuple

from .base import VideoReader
from .build import build_reader
from .file_stamp import FileStamp, check_unchanged, stamp_of
from .free_memory import free_memory


class OpenReader(NamedTuple):
    """A reader, and the stamp of the file when it was opened."""

    reader: VideoReader
    stamp: FileStamp | None


class ReaderCache:
    """The ``max_open`` most recently used readers of this process.

    A process forked from one with open readers must not touch them (they share the parent's file
    position and lack its threads): it starts with none. Pickling drops them too.

    Args:
        max_open: How many videos stay open; the least recently used one is closed.

    Attributes:
        num_reopened: How often this process opened a video again that had been closed for another.
    """

    def __init__(self, max_open: int = 4) -> None:
        self.max_open = check_max_open(max_open)
        self._reset()

    def _reset(self) -> None:
        self._readers: OrderedDict[tuple[str, str], OpenReader] = OrderedDict()
        self._outdated: set[tuple[str, str]] = set()
        self.num_reopened = 0
        self._pid = os.getpid()
        self._inherited: list = []

    def __len__(self) -> int:
        return len(self._readers)

    def get(self, path: str, reader: dict, stamp: FileStamp | None = None) -> VideoReader:
        """The open reader of ``path``, built from the config ``reader`` if there is none.

        A file that was replaced is opened anew, or refused if it does not have the ``stamp``.

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
            self.num_reopened += key in self._outdated
        self._readers.move_to_end(key)
        while len(self._readers) > self.max_open:
            closed, outdated = self._readers.popitem(last=False)
            outdated.reader.close()
            free_memory()
            self._outdated.add(closed)
        return self._readers[key].reader

    def forget(self, path: str) -> None:
        """Close a video that is done with; it does not count as closed for another."""
        self._leave_parent()
        for key in [key for key in self._readers if key[0] == path]:
            self._readers.pop(key).reader.close()
            free_memory()

    def close(self) -> None:
        """Close every reader of this process."""
        self._leave_parent()
        while self._readers:
            self._readers.popitem()[1].reader.close()

    def _leave_parent(self) -> None:
        if self._pid != os.getpid():
            # Kept referenced: their destructors would wait for threads that were not forked.
            inherited = self._readers
            self._reset()
            self._inherited = [inherited]

    def __getstate__(self) -> dict:
        return {'max_open': self.max_open}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)  # type: ignore[misc]


def check_max_open(max_open: int) -> int:
    """The number, if so many videos can be kept open.

    Raises:
        ValueError: if it is not positive.
    """
    if max_open < 1:
        raise ValueError(f'max_open must be at least 1, got {max_open}')
    return max_open
