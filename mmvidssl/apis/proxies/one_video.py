"""One video's proxy: an MP4 of JPEG images, or of H.264 in which every frame is a keyframe."""

import contextlib
import errno
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from filelock import FileLock, Timeout

from mmvidssl.datasets.readers import (
    PROXY_SUFFIX,
    ProxyReader,
    PyAVReader,
    UndecodableVideoError,
    VideoError,
    VideoIndex,
    is_proxy,
    manifest_path,
    proxy_stem,
    read_manifest,
    stamp_of,
)
from mmvidssl.datasets.readers.base import nearest_frames
from mmvidssl.utils.atomic_file import atomic_path, replace_synced
from mmvidssl.version import __version__

from .blur import Blurrer, BlurSettings

SECONDS_TO_WAIT = 5.0  # for another process that makes the same proxy
# MP4 counts the time between two frames in 32 bits.
FINEST_CLOCK, USUAL_CLOCK = 1_000_000, 30_000
Progress = Callable[[float], None]
CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # of some disks


class ProxySettings(NamedTuple):
    """What a proxy is like.

    Attributes:
        short_side: Pixels of the shorter side; smaller videos keep their size.
        fps: Frames a second; a video with fewer keeps all of its own.
        codec: 'mjpeg', or 'h264' for little more than a third of the disk and two to three times
            the time to read.
        quality: Of JPEG, 1 to 100; 90 by default.
        crf: Of H.264, 0 (without loss) to 51; 25 by default.
        blur: What is blurred, faces for instance; None for nothing.
    """

    short_side: int = 720
    fps: float = 4.0
    codec: str = 'mjpeg'
    quality: int | None = None
    crf: int | None = None
    blur: BlurSettings | None = None

    def checked(self) -> 'ProxySettings':
        """These settings with the defaults filled in.

        Raises:
            ValueError: they are impossible.
        """
        if self.short_side < 1 or not 0 < self.fps < float('inf'):
            raise ValueError(f'short_side and (finite) fps must be positive, got {self}')
        if self.codec == 'mjpeg':
            settings = self._replace(quality=90 if self.quality is None else self.quality)
            is_possible = self.crf is None and settings.quality in range(1, 101)
        else:
            settings = self._replace(crf=25 if self.crf is None else self.crf)
            is_possible = self.quality is None and settings.crf in range(52)
        if self.codec not in ('mjpeg', 'h264') or not is_possible:
            raise ValueError(
                f'codec must be mjpeg, with a quality of 1 to 100, or h264, with a crf of 0 to 51; '
                f'got {self}. In place of png and webp use mjpeg with quality=100'
            )
        return settings._replace(fps=float(self.fps))

    def as_json(self) -> dict[str, Any]:
        """What a manifest says of them."""
        settings = self._asdict()
        if self.blur is None:
            del settings['blur']  # as in the manifests of older versions
        else:
            settings['blur'] = dict(self.blur._asdict(), detectors=list(self.blur.detectors))
        return settings


class Proxy(NamedTuple):
    """What :func:`make_proxy` leaves behind; it is not new if it was there already."""

    path: str
    num_frames: int
    num_bytes: int
    is_new: bool


def make_proxy(
    video: str | os.PathLike,
    path: str | os.PathLike,
    settings: ProxySettings | None = None,
    num_threads: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Proxy:
    """Decode a video once and keep some of its frames, small and fast to read.

    ``path`` appears when it is whole and on the disk, and its manifest after it. A finished proxy
    of the same video and settings is left alone.

    Args:
        video: The video.
        path: The proxy; its name ends in .proxy.mp4.
        settings: What it is to be like.
        num_threads: Threads of the decoder; 0 takes as many as there are cores.
        overwrite: Whether to make it again if there is one already.
        progress: Told the share that is done.

    Raises:
        ValueError: impossible settings, or a finished proxy of another video or other settings.
        VideoError: the video cannot be read, or another process makes this proxy.
        OSError: the disk is full.
    """
    path, settings = Path(path), (settings or ProxySettings()).checked()
    if not is_proxy(path):
        raise ValueError(f'the name of a proxy ends in {PROXY_SUFFIX}, got {path}')
    blurrer = Blurrer(settings.blur) if settings.blur else None
    reader = PyAVReader(str(video), num_threads)
    stamp = stamp_of(reader.path)  # before anything is read: what is added from now on is noticed
    chosen = choose_frames(reader.timestamps, settings.fps)
    manifest = _describe(reader, settings, len(chosen))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{path.name}.part')
    with only_this_process_makes(path):
        if not overwrite and _is_made(path, manifest):
            return Proxy(str(path), len(chosen), path.stat().st_size, is_new=False)
        try:
            frames = reader.iter_frames(chosen, settings.short_side)
            if blurrer:
                frames = blurrer.blur(frames, reader.timestamps[chosen])
            _write(partial, frames, _mp4_times(reader.index, chosen), settings, progress)
            if stamp_of(reader.path) != stamp:
                raise VideoError(f'{video} was changed while its proxy was made: start again')
            manifest.update(bytes=partial.stat().st_size, sha256=hash_file(partial))
            if blurrer:
                manifest.update(blurred=blurrer.report())
            manifest_path(path).unlink(missing_ok=True)  # it may say that other bytes are blurred
            replace_synced(partial, path)
            _write_sheet(blurrer, path)
        finally:
            partial.unlink(missing_ok=True)
            reader.close()
        with atomic_path(manifest_path(path)) as file:
            file.write_text(json.dumps(manifest, indent=2) + '\n', encoding='utf-8')
    return Proxy(str(path), len(chosen), manifest['bytes'], is_new=True)


def choose_frames(times: np.ndarray, fps: float) -> np.ndarray:
    """Numbers int64 of the frames nearest to the first one's time + k / ``fps``, none twice.

    Args:
        times: Seconds of the video's frames ``(num_frames,)``, increasing.
        fps: Frames of the proxy a second.
    """
    num_steps = int((times[-1] - times[0]) * fps + 1e-6) + 1
    return np.unique(nearest_frames(times, times[0] + np.arange(num_steps) / fps))


def hash_file(path: str | os.PathLike) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _describe(reader: PyAVReader, settings: ProxySettings, num_frames: int) -> dict[str, Any]:
    """The manifest, but for what is known of the finished file only."""
    return dict(
        source=dict(
            name=Path(reader.path).name,
            bytes=os.path.getsize(reader.path),
            sha256=hash_file(reader.path),
            num_frames=reader.num_frames,
            duration=float(reader.timestamps[-1] - reader.timestamps[0]),
        ),
        settings=settings.as_json(),
        num_frames=num_frames,
        versions=dict(mmvidssl=__version__, av=av.__version__, opencv=cv2.__version__),
    )


def only_this_process_makes(path: Path) -> Any:
    """A context manager. Its lock file stays: removing it would let two in."""
    try:
        return FileLock(path.with_name(f'.{path.name}.lock')).acquire(timeout=SECONDS_TO_WAIT)
    except Timeout as error:
        raise VideoError(f'another process is making {path}: wait for it, or end it') from error
    except OSError as error:
        if error.errno not in CANNOT_LOCK:
            raise
        warnings.warn(
            f'{path.parent} cannot lock files: see that one process alone makes {path}',
            stacklevel=3,
        )
        return contextlib.nullcontext()


def _is_made(path: Path, manifest: dict) -> bool:
    """Whether ``path`` is this proxy; False if it is damaged, or has other frames than it should.

    Raises:
        ValueError: it is another one.
        OSError: it cannot be read, so that nobody knows.
    """
    try:
        found = read_manifest(path)
        if path.stat().st_size != found['bytes']:
            return False
    except (UndecodableVideoError, FileNotFoundError):
        return False
    same_source = found['source']['sha256'] == manifest['source']['sha256']
    if same_source and found['settings'] == manifest['settings']:
        return found['num_frames'] == manifest['num_frames']
    what = f'settings {found["settings"]}' if same_source else 'another video'
    raise ValueError(
        f'{path} is there already, made with {what}: choose another folder with --out, or replace '
        'it with --overwrite'
    )


def _write(
    path: Path,
    frames: Iterator[np.ndarray],
    times: tuple[np.ndarray, Fraction],
    settings: ProxySettings,
    progress: Progress | None,
) -> None:
    """Write the MP4, with the times of the video, and look whether they came out right."""
    pts, time_base = times
    # Where the first frame is not shown at 0, an edit list says so, in units of the movie's own.
    options = dict(movie_timescale=str(time_base.denominator))
    try:
        with av.open(os.path.abspath(path), 'w', format='mp4', options=options) as container:
            packets = _encode(container, frames, pts.tolist(), time_base, settings)
            for number, packet in enumerate(packets, start=1):
                container.mux(packet)
                if progress:
                    progress(number / len(pts))
    except av.FFmpegError as error:  # of the reader come VideoErrors
        code = error.errno if error.errno in errno.errorcode else errno.EIO
        raise OSError(code, f'cannot write: {error.strerror}', str(path)) from error
    written = ProxyReader(str(path)).timestamps
    if len(written) != len(pts) or np.abs(written - pts * float(time_base)).max() > 1e-6:
        raise VideoError(f'{path} does not hold the frames and times that were written to it')


def _write_sheet(blurrer: Blurrer | None, path: Path) -> None:
    """NAME.blur.jpg for NAME.proxy.mp4; none where nothing is searched, or found."""
    sheet = blurrer.sheet() if blurrer else None
    file = path.with_name(f'{proxy_stem(path)}.blur.jpg')
    if sheet is None:
        file.unlink(missing_ok=True)  # of other settings
    else:
        with atomic_path(file) as temporary:
            temporary.write_bytes(_encode_jpeg(sheet, 90))


def _mp4_times(index: VideoIndex, chosen: np.ndarray) -> tuple[np.ndarray, Fraction]:
    """Times int64 of the chosen frames, and their unit, one over a whole number.

    They are those of the video, unless its clock is finer than MP4 takes; then the nearest in units
    of 1/30000 s. Times before 0, which MP4 would hide, are all moved up to begin there.
    """
    clock = index.time_base.denominator
    pts = index.pts[chosen] * index.time_base.numerator
    if clock > FINEST_CLOCK:
        pts, clock = np.rint(pts * (USUAL_CLOCK / clock)).astype(np.int64), USUAL_CLOCK
    return pts - min(0, int(pts[0])), Fraction(1, clock)


def _encode(
    container: Any,
    frames: Iterator[np.ndarray],
    pts: list[int],
    time_base: Fraction,
    settings: ProxySettings,
) -> Iterator[Any]:
    """Packets of RGB frames, all keyframes.

    JPEG images are OpenCV's: FFmpeg's encoder shifts colours, and has other qualities.
    """
    stream, shape = None, (0, 0, 0)
    for time, pixels in zip(pts, frames, strict=True):
        if stream is None:
            shape = pixels.shape
            stream = _add_stream(container, shape, time_base, settings)
        if pixels.shape != shape:
            raise UndecodableVideoError('the frames have several sizes; re-encode the video')
        if settings.codec == 'mjpeg':
            packet = av.Packet(_encode_jpeg(pixels, settings.quality))
            packet.stream, packet.time_base, packet.is_keyframe = stream, time_base, True
            packet.pts = packet.dts = time
            yield packet
        else:
            frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
            frame.pts, frame.time_base = time, time_base
            yield from stream.encode(frame)
    if stream is not None and settings.codec == 'h264':
        yield from stream.encode()


def _add_stream(
    container: Any, shape: tuple[int, ...], time_base: Fraction, settings: ProxySettings
) -> Any:
    # Players are told this rate, and the last frame lasts so long: of 0 ticks it would be hidden.
    rate = Fraction(min(settings.fps, 1000)).limit_denominator(1_000_000)
    height, width, _ = shape
    if settings.codec == 'mjpeg':
        stream = container.add_mux_stream('mjpeg', rate=rate, width=width, height=height)
    else:
        options = {'crf': str(settings.crf), 'x264-params': 'keyint=1:bframes=0'}
        stream = container.add_stream('libx264', rate=rate, options=options)
        stream.height, stream.width = height, width
        stream.pix_fmt = 'yuv444p' if height % 2 or width % 2 else 'yuv420p'
        stream.codec_context.time_base = time_base
    stream.time_base = time_base
    return stream


def _encode_jpeg(pixels: np.ndarray, quality: int | None) -> bytes:
    options: list[Any] = [cv2.IMWRITE_JPEG_QUALITY, quality]
    try:
        is_done, image = cv2.imencode('.jpg', cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        is_done = False
    if not is_done:
        height, width = pixels.shape[:2]
        raise VideoError(f'{width} x {height} pixels are too many for JPEG: lower short_side')
    return image.tobytes()
