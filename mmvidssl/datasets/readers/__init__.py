"""Reading frames: a protocol, one file a backend, and a guard against files that stall or crash."""

from .base import VideoReader
from .decord_reader import DecordReader
from .errors import (
    DecoderDiedError,
    DecodeTimeoutError,
    EmptyVideoError,
    UndecodableVideoError,
    VideoChangedError,
    VideoError,
    VideoNotFoundError,
)
from .file_stamp import FileStamp, stamp_of
from .guarded_readers import DEFAULT_TIMEOUT, GuardedReaders, Readers, build_readers
from .image import ImageError, read_image
from .probe import VideoInfo, probe_video
from .reader_cache import ReaderCache

__all__ = [
    'DEFAULT_TIMEOUT',
    'DecodeTimeoutError',
    'DecoderDiedError',
    'DecordReader',
    'EmptyVideoError',
    'FileStamp',
    'GuardedReaders',
    'ImageError',
    'ReaderCache',
    'Readers',
    'UndecodableVideoError',
    'VideoChangedError',
    'VideoError',
    'VideoInfo',
    'VideoNotFoundError',
    'VideoReader',
    'build_readers',
    'probe_video',
    'read_image',
    'stamp_of',
]
