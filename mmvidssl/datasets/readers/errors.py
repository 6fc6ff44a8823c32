"""Errors of video files. Every message names the file."""

import errno
import os
import re

DISK_ERRNOS = (
    *(errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO),
    *(errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH),
)

# Matches 'https://' and 's3:/' (pathlib's form of 's3://'), but no drive of Windows.
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
    """The file has changed since its frames were counted, so that frame numbers are invalid."""


class VideoDiskError(VideoError):
    """The disk, or the network it is on, failed."""


class DecodeTimeoutError(VideoError):
    """The decoding process did not answer within the timeout, and was killed."""


class DecoderDiedError(VideoError):
    """The decoding process died: the decoder crashed, or it was killed for its memory."""


MAY_PASS = (VideoNotFoundError, VideoDiskError, DecoderDiedError)
"""Errors that may be temporary: a disk that is away for a while, a machine short of memory."""


def class_of_system_error(error: Exception) -> type[VideoError]:
    """:class:`VideoDiskError` for an ``errno`` of a failing disk, else :class:`VideoError`."""
    return VideoDiskError if getattr(error, 'errno', None) in DISK_ERRNOS else VideoError


def class_of_decoder_error(error: Exception, path: str) -> type[VideoError]:
    """:class:`VideoDiskError` if the disk fails, else :class:`UndecodableVideoError`.

    Reading the file decides: FFmpeg gives a failing disk's ``errno`` to damaged data as well.
    """
    if getattr(error, 'errno', None) in DISK_ERRNOS and not _is_readable(path):
        return VideoDiskError
    return UndecodableVideoError


def check_is_local(path: str | os.PathLike) -> None:
    """Refuse URLs: only local files and folders are read.

    Raises:
        VideoError: the path is a URL.
    """
    if URL.match(os.fspath(path)) and not os.path.exists(path):
        raise VideoError(
            f'URLs and object stores are not read: {path}. Mount the storage as a folder (NFS, '
            's3fs, rclone mount), or copy the files, and give their paths'
        )


def describe_start(start: bytes) -> str:
    """Describe a text file found in place of a video or image, by its first bytes.

    ``''`` for anything but a Git-LFS pointer, HTML or XML.
    """
    start = start.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
    if start.startswith(LFS_POINTER):
        return 'a Git-LFS pointer, which stands for the file itself; get that: git lfs pull'
    if start.startswith(MARKUP):
        return 'an HTML or XML page, as a failed download leaves it (of a log-in or an error)'
    return ''


def first_line(error: Exception) -> str:
    """First line of an error's message, or the name of its class."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _is_readable(path: str) -> bool:
    """Whether the first and the last byte of a file can be read."""
    try:
        with open(path, 'rb') as file:
            file.read(1)
            file.seek(-1, os.SEEK_END)
            file.read(1)
    except OSError:
        return False
    return True
