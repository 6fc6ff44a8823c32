"""Reading frames: a protocol and one file a backend."""

from .base import VideoReader
from .decord_reader import DecordReader
from .errors import EmptyVideoError, UndecodableVideoError, VideoError, VideoNotFoundError
from .probe import VideoInfo, probe_video
from .reader_cache import ReaderCache

__all__ = [
    'DecordReader',
    'EmptyVideoError',
    'ReaderCache',
    'UndecodableVideoError',
    'VideoError',
    'VideoInfo',
    'VideoNotFoundError',
    'VideoReader',
    'probe_video',
]
