"""Reading frames: a protocol and one file a backend."""

from .base import VideoReader
from .build import build_reader
from .decord_reader import DecordReader
from .errors import EmptyVideoError, UndecodableVideoError, VideoError, VideoNotFoundError
from .image import ImageError, read_image
from .probe import VideoInfo, probe_video
from .proxy_pack import PROXY_SUFFIX, is_proxy, open_pack, verify_pack
from .proxy_reader import ProxyReader
from .proxy_writer import PackWriter
from .reader_cache import ReaderCache

__all__ = [
    'PROXY_SUFFIX',
    'DecordReader',
    'EmptyVideoError',
    'ImageError',
    'PackWriter',
    'ProxyReader',
    'ReaderCache',
    'UndecodableVideoError',
    'VideoError',
    'VideoInfo',
    'VideoNotFoundError',
    'VideoReader',
    'build_reader',
    'is_proxy',
    'open_pack',
    'probe_video',
    'read_image',
    'verify_pack',
]
