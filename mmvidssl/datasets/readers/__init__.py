"""Reading frames: a protocol and one file a backend."""

from .base import VideoReader
from .decord_reader import DecordReader
from .errors import EmptyVideoError, UndecodableVideoError, VideoError, VideoNotFoundError
from .image import ImageError, read_image
from .index_cache import load_index
from .probe import VideoInfo, probe_video
from .pyav_reader import PyAVReader
from .reader_cache import ReaderCache
from .torchcodec_reader import TorchCodecReader
from .video_index import VideoIndex

__all__ = [
    'DecordReader',
    'EmptyVideoError',
    'ImageError',
    'PyAVReader',
    'ReaderCache',
    'TorchCodecReader',
    'UndecodableVideoError',
    'VideoError',
    'VideoIndex',
    'VideoInfo',
    'VideoNotFoundError',
    'VideoReader',
    'load_index',
    'probe_video',
    'read_image',
]
