"""Keeping what was read of the structure of long videos."""

import hashlib
import os
import time
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmvidssl.utils.atomic_file import atomic_path

from .video_index import VideoIndex, build_index

# Building the index of a short video takes less than reading it from a file.
SECONDS_WORTH_KEEPING = 0.5
FORMAT_VERSION = 1


def load_index(path: str) -> VideoIndex:
    """The index of a video; of a long one it is kept in the user's cache folder.

    Building it takes about 1.5 s for an hour of 60 frames a second, and longer where the disk does.
    The cache (``MMVIDSSL_CACHE``, or ``~/.cache/mmvidssl``) knows a file by path, size and time of
    change; it is a shortcut, and may be deleted.

    Raises:
        EmptyVideoError: there is no frame.
        UndecodableVideoError: not a video, without a video stream, or cut off.
    """
    kept = cache_file(path)
    index = _read(kept)
    if index is None:
        started = time.perf_counter()
        index = build_index(path)
        if time.perf_counter() - started > SECONDS_WORTH_KEEPING:
            _write(kept, index)
    return index


def cache_file(path: str) -> Path:
    """Where the index of a video is kept, as it is now."""
    file = Path(path).resolve()
    stat = file.stat()
    identity = f'{FORMAT_VERSION}\n{file}\n{stat.st_size}\n{stat.st_mtime_ns}'
    folder = Path(os.environ.get('MMVIDSSL_CACHE') or Path.home() / '.cache/mmvidssl')
    return folder / 'video_index' / f'{hashlib.sha256(identity.encode()).hexdigest()[:32]}.npz'


def _read(file: Path) -> VideoIndex | None:
    """None if it is not there, or not whole."""
    try:
        with np.load(file, allow_pickle=False) as saved:
            return VideoIndex(
                saved['pts'],
                saved['key_pts'],
                saved['key_dts'],
                Fraction(*map(int, saved['time_base'])),
                float(saved['fps']),
                str(saved['codec']),
                str(saved['container']),
            )
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _write(file: Path, index: VideoIndex) -> None:
    """Keep an index, where the disk allows."""
    time_base = (index.time_base.numerator, index.time_base.denominator)
    try:
        with atomic_path(file) as partial:
            np.savez_compressed(partial, **dict(index._asdict(), time_base=time_base))
    except OSError:
        return  # a read-only home, a full disk: the next process reads the packets again
