"""One video's proxy."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np

from mmvidssl.datasets.readers import (
    EmptyVideoError,
    PackWriter,
    UndecodableVideoError,
    VideoError,
    VideoNotFoundError,
    open_pack,
)
from mmvidssl.datasets.readers.base import check_video_file, shrunk_size
from mmvidssl.version import __version__

from .proxy_source import Source, choose_frames, decode_frames, hash_file, inspect_source

FORMATS = ('jpeg', 'webp', 'png')
DEFAULT_QUALITY = dict(jpeg=90, webp=85)
Progress = Callable[[float, str], None]


class ProxySettings(NamedTuple):
    """What a proxy is like.

    Attributes:
        short_side: Pixels of the shorter side; smaller videos keep their size.
        fps: Frames a second; a video with fewer keeps all of its own.
        format: 'jpeg', 'webp' or 'png'.
        quality: 1 to 100; None takes 90 for JPEG and 85 for WebP. PNG loses nothing and takes none.
    """

    short_side: int = 720
    fps: float = 4.0
    format: str = 'jpeg'
    quality: int | None = None

    def checked(self) -> 'ProxySettings':
        """These settings with the default filled in.

        Raises:
            ValueError: they are impossible.
        """
        if self.short_side < 1 or not 0 < self.fps < float('inf'):
            raise ValueError(
                f'short_side must be at least 1 pixel and fps positive, got {self.short_side} and '
                f'{self.fps}'
            )
        if self.format not in FORMATS:
            raise ValueError(f'format must be one of {FORMATS}, got {self.format!r}')
        if self.quality is None:
            return self._replace(quality=DEFAULT_QUALITY.get(self.format), fps=float(self.fps))
        if self.format == 'png' or not 1 <= self.quality <= 100:
            raise ValueError(
                f'quality must be in 1..100, and png takes none; got {self.quality} for '
                f'{self.format}'
            )
        return self._replace(fps=float(self.fps))


class Proxy(NamedTuple):
    """What :func:`make_proxy` leaves behind."""

    path: str
    num_frames: int
    num_bytes: int
    is_new: bool
    """False if it was there already."""


def make_proxy(
    video: str | os.PathLike,
    path: str | os.PathLike,
    settings: ProxySettings | None = None,
    num_threads: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Proxy:
    """Decode a video once and keep some of its frames, small and fast to read.

    A process that is killed leaves ``path`` + '.part'; the same call goes on from there, and the
    result has the same bytes. A finished proxy of the same video and settings is left alone.

    Args:
        video: The video.
        path: The proxy; its name ends in .frames.
        settings: What it is to be like.
        num_threads: Threads of the decoder; 0 takes as many as there are cores.
        overwrite: Whether to make it again if there is one already.
        progress: Told the share that is done, and in words what of it.

    Raises:
        ValueError: impossible settings, or a finished proxy of another video or other settings.
        VideoError: the video cannot be read, or another process makes this proxy.
        OSError: the disk is full; what is done stays.
    """
    video, path = str(video), Path(path)
    settings = (settings or ProxySettings()).checked()
    tell = progress or (lambda share, note: None)
    check_video_file(video)
    stat = os.stat(video)  # before anything is read: what is added from now on is noticed
    source = inspect_source(video)
    sha256 = hash_file(video, lambda share: tell(0.0, f'reading {share:.0%}'))
    chosen = choose_frames(source.times, settings.fps)
    manifest = _describe(source, stat.st_size, sha256, settings, len(chosen))
    if path.exists() and not overwrite and _is_made(path, manifest):
        return Proxy(str(path), len(chosen), path.stat().st_size, is_new=False)
    with PackWriter(path, manifest, source.times[chosen]) as writer:
        wanted = chosen[writer.num_done :]
        for image in decode_frames(source, wanted, settings.short_side, num_threads):
            writer.append(_encode(image, settings, video))
            tell(writer.num_done / len(chosen), f'{writer.num_done} of {len(chosen)} frames')
        now = os.stat(video)
        if (now.st_size, now.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            raise VideoError(f'{video} was changed while its proxy was made: begin again')
        writer.finish()
    return Proxy(str(path), writer.num_done, path.stat().st_size, is_new=True)


def _describe(
    source: Source, num_bytes: int, sha256: str, settings: ProxySettings, num_frames: int
) -> dict[str, Any]:
    """The manifest."""
    times = source.times
    seconds = float(times[-1] - times[0])
    height, width = shrunk_size(*source.size, settings.short_side)
    return dict(
        source=dict(
            name=Path(source.path).name,
            bytes=num_bytes,
            sha256=sha256,
            duration=seconds,
            fps=(len(times) - 1) / seconds if seconds else 0.0,
            num_frames=len(times),
            height=source.size[0],
            width=source.size[1],
        ),
        settings=settings._asdict(),
        height=height,
        width=width,
        num_frames=num_frames,
        versions=dict(mmvidssl=__version__, av=av.__version__, opencv=cv2.__version__),
    )


def _is_made(path: Path, manifest: dict) -> bool:
    """Whether ``path`` is this proxy; False if it is damaged, or has other frames than it should.

    Raises:
        ValueError: it is another one.
        VideoError: it cannot be read, so that nobody knows.
    """
    try:
        found = open_pack(path).manifest
    except (UndecodableVideoError, EmptyVideoError, VideoNotFoundError):
        return False
    same_source = found['source']['sha256'] == manifest['source']['sha256']
    if same_source and found['settings'] == manifest['settings']:
        return found['num_frames'] == manifest['num_frames']
    what = f'settings {found["settings"]}' if same_source else 'another video'
    raise ValueError(
        f'{path} is there already, made with {what}: choose another folder with --out, or replace '
        'it with --overwrite'
    )


def _encode(image: np.ndarray, settings: ProxySettings, video: str) -> bytes:
    """BGR uint8 ``(H, W, 3)`` to the bytes of an image file.

    Raises:
        VideoError: the format does not take the size: WebP up to 16383 pixels, JPEG up to 65500.
    """
    flags = dict(jpeg=cv2.IMWRITE_JPEG_QUALITY, webp=cv2.IMWRITE_WEBP_QUALITY)
    options = [flags[settings.format], settings.quality] if settings.quality is not None else []
    try:
        is_done, data = cv2.imencode(f'.{settings.format}', image, options)
    except cv2.error:
        is_done = False
    if not is_done:
        height, width = image.shape[:2]
        raise VideoError(
            f'a frame of {video}, {width} x {height} pixels, cannot be written as '
            f'{settings.format}: choose a smaller --short-side or another --format'
        )
    return data.tobytes()
