"""Files that are either complete or not there."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place when the block ends without an error.

    The name keeps the suffix, because writers choose a format by it. Missing folders are made; on
    an error the temporary file is removed and ``path`` is left as it was. The file is on the disk
    before it takes the name, and the name before this returns: even a power cut leaves no part.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Several nodes may write into one folder, with equal process numbers.
    unique = f'{os.getpid()}.{secrets.token_hex(4)}'
    temporary = path.with_name(f'.{path.stem}.{unique}.tmp{path.suffix}')
    try:
        yield temporary
        replace_synced(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_synced(temporary: Path, path: Path) -> None:
    """Rename a finished file within its folder; the name is on the disk when this returns."""
    _sync(temporary)
    os.replace(temporary, path)
    _sync_folder(path.parent)


def _sync(path: Path) -> None:
    """Wait until what was written to a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    if os.name == 'nt':  # folders cannot be opened there
        return
    try:
        _sync(folder)
    except OSError as error:
        # Some network file systems cannot sync a folder; the file in it is whole all the same.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
