"""Writing the file of a proxy, so that a killed process can be followed by another."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from mmengine.logging import MMLogger

from mmvidssl.utils.atomic_file import replace_synced

from .errors import VideoError
from .proxy_pack import INDEX_DTYPE, RECORD, encode_index, encode_preamble

PARTIAL_SUFFIX = '.part'
# A process that was killed may need a moment to let go of its file.
SECONDS_TO_WAIT = 5.0
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PackWriter:
    """Appends frames to ``path`` + '.part', which :meth:`finish` renames.

    A partial file of the same manifest is gone on with after its last whole frame: cut off frames
    and frames whose checksum is wrong are dropped. Any other is overwritten. The partial file is
    locked as long as the writer is open, where the disk knows locks.

    Args:
        path: The finished file. An existing one is replaced when the new one is finished.
        manifest: What the frames are made from, as JSON can say it.
        times: Seconds of all frames, float64 ``(num_frames,)``.

    Attributes:
        num_done: Frames that are written.

    Raises:
        VideoError: another process is writing this file.
        OSError: the disk is full; the message names the partial file.
    """

    def __init__(self, path: str | os.PathLike, manifest: dict, times: np.ndarray) -> None:
        self.path = Path(path)
        self.partial = self.path.with_name(self.path.name + PARTIAL_SUFFIX)
        self.index = np.zeros(len(times), INDEX_DTYPE)
        self.index['time'] = times
        self.num_done, self._end = 0, 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open_locked(self.partial)
        try:
            self._begin(encode_preamble(manifest))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> 'PackWriter':
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()

    def append(self, image: bytes) -> None:
        """Write the next frame, encoded."""
        size, crc = len(image), crc32(image)
        record = RECORD.pack(size, crc, self.index['time'][self.num_done])
        self._write(record + image)
        self._note(size, crc)

    def finish(self) -> None:
        """Write the index and give the file its name; all frames must have been written."""
        assert self.num_done == len(self.index)
        end = self._end
        self._write(encode_index(self.index, end))
        with self._full_disk_explained():
            replace_synced(self.partial, self.path)

    def close(self) -> None:
        """Let go of the file; unfinished, it can be gone on with."""
        self._file.close()

    def _begin(self, preamble: bytes) -> None:
        if self._file.read(len(preamble)) == preamble:
            self._end = len(preamble)
            self._find_whole_frames()
            self._file.truncate(self._end)
            self._file.seek(self._end)
        else:
            self._file.truncate(0)
            self._file.seek(0)
            self._write(preamble)

    def _find_whole_frames(self) -> None:
        while self.num_done < len(self.index):
            record = self._file.read(RECORD.size)
            if len(record) < RECORD.size:
                return
            size, crc, seconds = RECORD.unpack(record)
            # What lies behind the last frame may be the beginning of an index.
            if seconds != self.index['time'][self.num_done] or size > self._left():
                return
            if crc32(self._file.read(size)) != crc:
                return
            self._end += RECORD.size
            self._note(size, crc, offset=self._end)
            self._end += size

    def _left(self) -> int:
        return os.fstat(self._file.fileno()).st_size - self._file.tell()

    def _note(self, size: int, crc: int, offset: int | None = None) -> None:
        place = self._end - size if offset is None else offset
        self.index[self.num_done] = (self.index['time'][self.num_done], place, size, crc)
        self.num_done += 1

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        with self._full_disk_explained():
            while left:
                left = left[self._file.write(left) :]
        self._end += len(data)

    @contextmanager
    def _full_disk_explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            raise OSError(
                error.errno,
                f'{os.strerror(error.errno)}, {self.num_done} of {len(self.index)} frames are '
                f'written. Make room and give the same command to go on from there; partial file',
                str(self.partial),
            ) from error


def _open_locked(partial: Path) -> Any:
    """The partial file, unbuffered, open for reading and writing from its start."""
    file = open(os.open(partial, os.O_RDWR | os.O_CREAT, 0o666), 'r+b', buffering=0)  # noqa: SIM115
    until = time.monotonic() + SECONDS_TO_WAIT
    while not _lock(file, partial):
        if time.monotonic() > until:
            file.close()
            raise VideoError(f'another process is writing {partial}: wait for it, or end it')
        time.sleep(0.1)
    if not partial.exists() or not os.path.samestat(os.fstat(file.fileno()), partial.stat()):
        file.close()
        raise VideoError(f'another process has just finished {partial}: nothing is left to do')
    return file


def _lock(file: Any, path: Path) -> bool:
    """Lock a file until it is closed, or this process ends; False if another process has it."""
    if os.name == 'nt':  # there, renaming a file that another has open is refused
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        MMLogger.get_current_instance().warning(
            f'files on this disk cannot be locked ({error.strerror}): do not make {path} in two '
            'processes at once'
        )
    return True
