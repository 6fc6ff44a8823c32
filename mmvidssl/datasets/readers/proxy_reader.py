"""Proxies: MP4 files in which every frame is a keyframe, with a JSON file beside each."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from mmvidssl.registry import VIDEO_READERS

from .base import PROXY_SUFFIX, is_proxy, shrink_frame
from .errors import UndecodableVideoError
from .pyav_reader import PyAVReader
from .stream import video_stream
from .video_index import VideoIndex, load_index, open_video

MANIFEST_KEYS = {'source', 'settings', 'num_frames', 'bytes', 'sha256', 'versions'}


def proxy_stem(path: str | os.PathLike) -> str:
    """File name of a video or proxy without its suffix (``.mp4``, ``.proxy.mp4``)."""
    return Path(path).name[: -len(PROXY_SUFFIX)] if is_proxy(path) else Path(path).stem


def manifest_path(path: str | os.PathLike) -> Path:
    """The JSON file beside a proxy: ``venice.proxy.json`` of ``venice.proxy.mp4``."""
    return Path(path).with_suffix('.json')


def read_manifest(path: str | os.PathLike) -> dict:
    """Read the JSON file beside a proxy, which says what it was made from and how.

    Its keys are ``source``, ``settings``, ``num_frames``, ``bytes``, ``sha256`` and ``versions``.

    Raises:
        OSError: it is missing, or unreadable.
        UndecodableVideoError: it is no manifest.
    """
    file = manifest_path(path)
    try:
        manifest = json.loads(file.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UndecodableVideoError(f'{file} is no manifest of a proxy: {error}') from error
    if not isinstance(manifest, dict) or not manifest.keys() >= MANIFEST_KEYS:
        raise UndecodableVideoError(f'{file} is no manifest of a proxy')
    return manifest


@VIDEO_READERS.register_module()
class ProxyReader(PyAVReader):
    """Reader of proxies (``tools/datasets/make_proxy.py``): any frame costs one image to decode.

    Opening reads only the MP4's table of frames. JPEG frames are decoded by OpenCV, which wrote
    them: FFmpeg's conversion would shift colours (by up to 1 of 255). Other readers and programs
    can read proxies as ordinary videos.
    """

    @property
    def manifest(self) -> dict:
        """See :func:`read_manifest`."""
        return read_manifest(self.path)

    @property
    def index(self) -> VideoIndex:
        """The frames of the video."""
        if self._index is None:
            self._index = _listed_index(self.path) or load_index(self.path)
        return self._index

    def _decode(
        self, decoder: Any, wanted: np.ndarray, short_side: int | None
    ) -> Iterator[np.ndarray]:
        stream = video_stream(decoder)
        if stream.codec_context.name != 'mjpeg':
            yield from super()._decode(decoder, wanted, short_side)
            return
        for number, pts in zip(wanted.tolist(), self.index.pts[wanted].tolist(), strict=True):
            decoder.seek(pts, stream=stream, backward=True)
            packet = next(decoder.demux(stream))
            data, image = bytes(packet), None
            if packet.pts == pts and data[:2] == b'\xff\xd8' and data[-2:] == b'\xff\xd9':
                image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            if image is None:
                raise UndecodableVideoError(
                    f'cannot decode frame {number} of {self.path}: its data are damaged; make the '
                    'proxy again with tools/datasets/make_proxy.py'
                )
            frame = shrink_frame(image, short_side)
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)


def _listed_index(path: str) -> VideoIndex | None:
    """Build the index from the MP4's table of frames, without reading all packets.

    None if the table does not suffice: frames that are no keyframes, hidden or reordered; a file
    that is cut off, or no MP4.
    """
    try:
        with open_video(path) as container:
            stream = video_stream(container)
            entries = list(stream.index_entries)
            codec, kind = stream.codec_context.name, container.format.name
            pts = np.array([entry.timestamp for entry in entries], dtype=np.int64)
            is_whole = max(e.pos + e.size for e in entries) <= os.path.getsize(path)
            is_plain = all(e.is_keyframe and not e.is_discard for e in entries)
            is_in_order = np.all(np.diff(pts) > 0) and next(container.demux(stream)).pts == pts[0]
            seconds = float((pts[-1] - pts[0]) * stream.time_base)
            fps = (len(pts) - 1) / seconds if seconds else float(stream.average_rate or 1)
            time_base = stream.time_base
    except (av.FFmpegError, AttributeError, OSError, ValueError, IndexError):
        return None  # load_index gives the best error
    if 'mp4' not in kind or not (is_whole and is_plain and is_in_order):
        return None
    return VideoIndex(pts, pts, pts, time_base, fps, codec, kind, False)
