"""Errors of video files. Every message names the file."""

import errno
import os

DISK_ERRNOS = (
    *(errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO),
    *(errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH),
)


class VideoError(OSError):
    """A video cannot be read; base class of the errors below."""


class VideoNotFoundError(VideoError, FileNotFoundError):
    """There is no such file."""


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
