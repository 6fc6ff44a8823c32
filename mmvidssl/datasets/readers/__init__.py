"""Video readers: one per decoding library, and a guard against files that hang or crash it."""

from .base import PROXY_SUFFIX, VideoReader, is_proxy
from .decord_reader import DecordReader
from .errors import (
    MAY_PASS,
    DecoderDiedError,
    DecodeTimeoutError,
    EmptyVideoError,
    ShortVideoError,
    UndecodableVideoError,
    VideoChangedError,
    VideoDiskError,
    VideoError,
    VideoNotFoundError,
    check_is_local,
)
from .guarded import DEFAULT_TIMEOUT, GuardedReaders, Readers, build_readers
from .image import ImageError, read_image
from .probe import VideoInfo, probe_video
from .proxy_reader import ProxyReader, manifest_path, proxy_stem, read_manifest
from .pyav_reader import PyAVReader
from .reader_cache import FileStamp, ReaderCache, build_reader, stamp_of
from .torchcodec_reader import TorchCodecReader
from .video_index import VideoIndex, load_index

__all__ = [
    'DEFAULT_TIMEOUT',
    'MAY_PASS',
    'PROXY_SUFFIX',
    'DecodeTimeoutError',
    'DecoderDiedError',
    'DecordReader',
    'EmptyVideoError',
    'FileStamp',
    'GuardedReaders',
    'ImageError',
    'ProxyReader',
    'PyAVReader',
    'ReaderCache',
    'Readers',
    'ShortVideoError',
    'TorchCodecReader',
    'UndecodableVideoError',
    'VideoChangedError',
    'VideoDiskError',
    'VideoError',
    'VideoIndex',
    'VideoInfo',
    'VideoNotFoundError',
    'VideoReader',
    'build_reader',
    'build_readers',
    'check_is_local',
    'is_proxy',
    'load_index',
    'manifest_path',
    'probe_video',
    'proxy_stem',
    'read_image',
    'read_manifest',
    'stamp_of',
]
