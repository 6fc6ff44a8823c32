"""Keeping what was read of the structure of long videos."""

import hashlib
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from mmengine.logging import MMLogger

from mmvidssl.utils.atomic_file import atomic_path

from .video_index import VideoIndex, build_index

# Of files of fewer bytes (a clip of Kinetics has some 10^5 to 10^6) the index is built anew each
# time: hundreds of thousands of them should leave no files behind.
BYTES_WORTH_KEEPING = 2**26
FORMAT_VERSION = 2
# What reading a damaged .npz can raise.
DAMAGES = (
    OSError,
    KeyError,
    ValueError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


def load_index(path: str) -> VideoIndex:
    """The index of a video; of a large one it is kept in the user's cache folder.

    Building it reads the file once: about 1.5 s for an hour of 60 frames a second in memory, and
    as long as the disk takes where it is not. Processes that want the same one at the same time
    wait for the first. The cache (``MMVIDSSL_CACHE``, or ``~/.cache/mmvidssl``) knows a file by
    path, size and time of change; it is a shortcut, and may be deleted.

    Raises:
        EmptyVideoError: there is no frame.
        UndecodableVideoError: not a video, without a video stream, or cut off.
    """
    if os.stat(path).st_size < BYTES_WORTH_KEEPING:
        return build_index(path)
    kept = cache_file(path)
    index = _read(kept)
    if index is not None:
        return index
    with _one_at_a_time(kept):
        index = _read(kept)
        if index is None:
            index = build_index(path)
            _write(kept, index)
    return index


def cache_file(path: str) -> Path:
    """Where the index of a video is kept, as it is now."""
    file = Path(path).resolve()
    stat = file.stat()
    identity = f'{FORMAT_VERSION}\n{file}\n{stat.st_size}\n{stat.st_mtime_ns}'
    return (
        _cache_folder()
        / 'video_index'
        / f'{hashlib.sha256(identity.encode()).hexdigest()[:32]}.npz'
    )


def _cache_folder() -> Path:
    named = os.environ.get('MMVIDSSL_CACHE')
    if named:
        return Path(named)
    try:
        return Path.home() / '.cache/mmvidssl'
    except RuntimeError:  # a container without HOME, for a user that no one knows
        return Path(tempfile.gettempdir()) / f'mmvidssl-{os.getuid()}'


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[None]:
    """Wait while another process builds the same; go on without, where nothing can be locked."""
    try:
        import fcntl

        file.parent.mkdir(parents=True, exist_ok=True)
        lock = open(file.with_suffix('.lock'), 'w')  # noqa: SIM115  closed below
    except (ImportError, OSError):
        yield
        return
    with lock:  # closing it, or dying, unlocks it
        with suppress(OSError):  # some network disks have no locks; then several build it
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
                bool(saved['has_b_frames']),
                bool(saved['has_false_keys']),
                saved['packet_pts'],
                saved['key_crcs'],
            )
    except DAMAGES:  # NotImplementedError is a RuntimeError
        return None


def _write(file: Path, index: VideoIndex) -> None:
    """Keep an index, where the disk allows."""
    time_base = (index.time_base.numerator, index.time_base.denominator)
    try:
        with atomic_path(file) as partial:
            np.savez_compressed(partial, **dict(index._asdict(), time_base=time_base))
    except OSError as error:
        MMLogger.get_current_instance().warning(
            f'the index of a video cannot be kept in {file.parent} ({error.strerror or error}), so '
            'every process reads the whole video when it opens it; name a folder that can be '
            'written to in the environment variable MMVIDSSL_CACHE'
        )
