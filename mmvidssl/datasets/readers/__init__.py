"""Reading frames: a protocol and one file a backend."""

from .base import VideoReader
from .build import build_reader
from .decord_reader import DecordReader
from .errors import EmptyVideoError, UndecodableVideoError, VideoError, VideoNotFoundError
from .image import ImageError, read_image
from .index_cache import load_index
from .probe import VideoInfo, probe_video
from .proxy_pack import PROXY_SUFFIX, is_proxy, open_pack, verify_pack
from .proxy_reader import ProxyReader
from .proxy_writer import PackWriter
from .pyav_reader import PyAVReader
from .reader_cache import ReaderCache
from .torchcodec_reader import TorchCodecReader
from .video_index import VideoIndex

__all__ = [
    'PROXY_SUFFIX',
    'DecordReader',
    'EmptyVideoError',
    'ImageError',
    'PackWriter',
    'ProxyReader',
    'PyAVReader',
    'ReaderCache',
    'TorchCodecReader',
    'UndecodableVideoError',
    'VideoError',
    'VideoIndex',
    'VideoInfo',
    'VideoNotFoundError',
    'VideoReader',
    'build_reader',
    'is_proxy',
    'load_index',
    'open_pack',
    'probe_video',
    'read_image',
    'verify_pack',
]
