"""The one place where a path gets its reader."""

from mmvidssl.registry import VIDEO_READERS

from .base import VideoReader
from .proxy_reader import ProxyReader, is_proxy


def build_reader(path: str, reader: dict) -> VideoReader:
    """The reader of a video as the config says it; of a proxy, always :class:`ProxyReader`.

    Args:
        path: A video or a proxy.
        reader: Config of the reader of videos, without the path.

    Raises:
        VideoError: the file is missing or has no bytes.
    """
    if is_proxy(path):
        return ProxyReader(path)
    return VIDEO_READERS.build(dict(reader, path=path))
