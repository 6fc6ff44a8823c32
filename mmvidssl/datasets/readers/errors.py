"""Errors of video files. Every message names the file."""

import errno
import os
import re

DISK_ERRNOS = (
    *(errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO),
    *(errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH),
)

# 'https://', and 's3:/' that pathlib makes of 's3://'; not a drive of Windows.
URL = re.compile(r'[a-z][a-z0-9+.-]+:/', re.IGNORECASE)
LFS_POINTER = b'version https://git-lfs'
MARKUP = (b'<!doctype', b'<!--', b'<html', b'<?xml')


class VideoError(OSError):
    """A video cannot be read; base class of the errors below."""


class VideoNotFoundError(VideoError, FileNotFoundError):
    """There is no such file."""


class ShortVideoError(VideoError, ValueError):
    """The video is too short for a clip."""


class EmptyVideoError(VideoError):
    """The file has no bytes, or no frames."""


class UndecodableVideoError(VideoError):
    """The file is not a video, is damaged, or holds a codec the backend does not know."""


class VideoChangedError(VideoError):
    """The file is no longer the one that was looked at first, so that frame numbers would lie."""


class VideoDiskError(VideoError):
    """The disk, or the network it is on, failed."""


class DecodeTimeoutError(VideoError):
    """Nothing came back within the time allowed."""


class DecoderDiedError(VideoError):
    """The process that decoded the file died: a crash of the decoder, or killed for its memory."""


MAY_PASS = (VideoNotFoundError, VideoDiskError, DecoderDiedError)
"""What need not be the file's fault: a disk that is away for a while, a machine short of memory."""


def class_of_system_error(error: Exception) -> type[VideoError]:
    """:class:`VideoDiskError` for what the system says of a disk."""
    return VideoDiskError if getattr(error, 'errno', None) in DISK_ERRNOS else VideoError


def class_of_decoder_error(error: Exception, path: str) -> type[VideoError]:
    """:class:`VideoDiskError` where the file, too, cannot be read.

    FFmpeg gives the system's number of a failing disk to what it cannot make sense of, too.
    """
    if getattr(error, 'errno', None) in DISK_ERRNOS and not _is_readable(path):
        return VideoDiskError
    return UndecodableVideoError


def check_is_local(path: str | os.PathLike) -> None:
    """Refuse the URL of a file or folder, of which nothing is read.

    Raises:
        VideoError: it is one.
    """
    if URL.match(os.fspath(path)) and not os.path.exists(path):
        raise VideoError(
            f'URLs and object stores are not read: {path}. Mount the storage as a folder (NFS, '
            's3fs, rclone mount), or copy the files, and give their paths'
        )


def describe_start(start: bytes) -> str:
    """What text a file is that begins so, where it is found in the place of a video or an image.

    ``''`` of all else.
    """
    start = start.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
    if start.startswith(LFS_POINTER):
        return 'a Git-LFS pointer, which stands for the file itself; get that: git lfs pull'
    if start.startswith(MARKUP):
        return 'an HTML or XML page, as a failed download leaves it (of a log-in or an error)'
    return ''


def first_line(error: Exception) -> str:
    """What an error of a library says, without its stack."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _is_readable(path: str) -> bool:
    """Whether the disk gives a file's first and last bytes."""
    try:
        with open(path, 'rb') as file:
            file.read(1)
            file.seek(-1, os.SEEK_END)
            file.read(1)
    except OSError:
        return False
    return True
