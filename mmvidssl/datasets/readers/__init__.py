"""Reading frames: a protocol and one file a backend."""

from .base import VideoReader
from .decord_reader import DecordReader
from .errors import EmptyVideoError, UndecodableVideoError, VideoError, VideoNotFoundError
from .image import ImageError, read_image
from .probe import VideoInfo, probe_video
from .reader_cache import ReaderCache

__all__ = [
    'DecordReader',
    'EmptyVideoError',
    'ImageError',
    'ReaderCache',
    'UndecodableVideoError',
    'VideoError',
    'VideoInfo',
    'VideoNotFoundError',
    'VideoReader',
    'probe_video',
    'read_image',
]
