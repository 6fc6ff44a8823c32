"""Telling whether a file is still the same."""

import os
from typing import NamedTuple

from .errors import VideoChangedError, VideoNotFoundError, class_of_system_error


class FileStamp(NamedTuple):
    """Bytes, and nanoseconds of the last change."""

    size: int
    mtime_ns: int


def stamp_of(path: str) -> FileStamp | None:
    """The stamp of a file; None where there is none.

    Raises:
        VideoError: the path cannot be looked at (a folder without permission, a lost disk).
    """
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise class_of_system_error(error)(f'cannot look at {path}: {error.strerror}') from error
    return FileStamp(stat.st_size, stat.st_mtime_ns)


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
            f'bytes then, {now.size} now): {path}. Start the run anew to count them again.'
        )
