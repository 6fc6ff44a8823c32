"""The video that a proxy is made of: its frames' times, and the chosen frames, decoded."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np

from mmvidssl.datasets.readers import EmptyVideoError, UndecodableVideoError
from mmvidssl.datasets.readers.base import check_video_file, nearest_frames, shrunk_size

# Codecs whose decoders leave out frames that no other frame needs, and give the others exactly.
SKIPPING_CODECS = ('h264', 'hevc')
# Codecs with packets that show nothing, and containers without times of frames: what is shown when
# is only known when all is decoded.
INEXACT_KINDS = ('vp8', 'avi')
BLOCK = 1 << 22


class Source(NamedTuple):
    """A video, looked through once.

    Attributes:
        path: The file.
        pts: Times of its frames in units of ``time_base``, int64 ``(num_frames,)``, increasing.
        keys: Of the keyframes, presentation and decoding time, int64 ``(num_keys, 2)``, increasing.
        time_base: Seconds of a unit.
        size: Height and width of its frames, upright.
        is_exact: Whether ``pts`` are those of the packets, so that frames may be left out by them.
    """

    path: str
    pts: np.ndarray
    keys: np.ndarray
    time_base: Fraction
    size: tuple[int, int]
    is_exact: bool

    @property
    def times(self) -> np.ndarray:
        """Seconds at which each frame is shown, as the file says, float64 ``(num_frames,)``."""
        return self.pts * self.time_base.numerator / self.time_base.denominator


def inspect_source(path: str) -> Source:
    """Read every packet of a video's first video stream, and decode its first frame.

    Raises:
        VideoError: missing, empty, without video stream, cut off, or not a video; names the file.
    """
    check_video_file(path)
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise UndecodableVideoError(f'there is no video stream in {path}')
            stream = container.streams.video[0]
            packets = [
                (packet.pts, packet.dts, packet.is_keyframe, packet.is_discard)
                for packet in container.demux(stream)
                if packet.size and not packet.is_corrupt
            ]
            if 'mp4' in container.format.name and len(packets) < stream.frames:
                raise UndecodableVideoError(
                    f'{path} is cut off: it holds {len(packets)} of {stream.frames} frames; get '
                    'it again, or repair it with: ffmpeg -i FILE -c copy REPAIRED'
                )
            time_base = stream.time_base
            kinds = {stream.codec_context.name, container.format.name}
        is_exact = kinds.isdisjoint(INEXACT_KINDS) and all(pts is not None for pts, *_ in packets)
        times = [pts for pts, *_, is_hidden in packets if not is_hidden]
        if not is_exact:
            times, packets = _decoded_times(path), []
        size = _upright_size(path)
    except av.FFmpegError as error:
        raise UndecodableVideoError(
            f'cannot read {path} (not a video, cut off, or an unknown codec): {error}'
        ) from error
    if not times:
        raise EmptyVideoError(f'the video has no frames: {path}')
    keys = sorted((pts, pts if dts is None else dts) for pts, dts, is_key, _ in packets if is_key)
    key_table = np.array(keys, dtype=np.int64).reshape(-1, 2)
    pts = np.unique(np.array(times, dtype=np.int64))
    # What a file shows before its first keyframe cannot be decoded.
    pts = pts[pts >= key_table[0, 0]] if keys else pts
    return Source(path, pts, key_table, time_base, size, is_exact)


def choose_frames(times: np.ndarray, fps: float) -> np.ndarray:
    """The frames of a proxy: nearest to the first frame's time + k / ``fps``, none twice.

    Args:
        times: Seconds of the video's frames ``(num_frames,)``, increasing.
        fps: Frames of the proxy a second.

    Returns:
        Frame numbers int64, increasing.
    """
    num_steps = int((times[-1] - times[0]) * fps + 1e-6) + 1
    return np.unique(nearest_frames(times, times[0] + np.arange(num_steps) / fps))


def decode_frames(
    source: Source, wanted: Sequence[int], short_side: int, num_threads: int = 1
) -> Iterator[np.ndarray]:
    """Frames of a video, upright, shrunk by averaging while they are converted.

    Goes through the video once, from a keyframe before the first wanted frame. Frames that nothing
    needs are not decoded.

    Args:
        source: The video.
        wanted: Times of the frames, as in ``source.pts``, increasing.
        short_side: Shrink frames whose shorter side is longer than this many pixels.
        num_threads: Threads of the decoder; 0 takes as many as there are cores.

    Yields:
        uint8 BGR ``(H, W, 3)``, one per wanted frame.

    Raises:
        UndecodableVideoError: a wanted frame does not come out whole.
    """
    left = [int(pts) for pts in reversed(wanted)]
    if not left:
        return
    try:
        with av.open(source.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = 'AUTO'
            stream.codec_context.thread_count = num_threads
            intact_from = _seek_before(container, stream, source, left[-1])
            for frame in _decode_needed(container, stream, source, set(left)):
                if frame.is_corrupt and frame.pts >= intact_from:
                    raise _undecodable(source, frame.pts, 'its data are damaged')
                if frame.pts == left[-1]:
                    yield _to_bgr(frame, short_side)
                    left.pop()
                    if not left:
                        return
    except av.FFmpegError as error:
        raise _undecodable(source, left[-1], str(error)) from error
    raise _undecodable(source, left[-1], 'the decoder leaves it out')


def hash_file(path: str, progress: Callable[[float], None] | None = None) -> str:
    """SHA-256 of a file, hexadecimal; ``progress`` is told the share that is done."""
    digest, done, size = hashlib.sha256(), 0, os.path.getsize(path)
    with open(path, 'rb') as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            if progress:
                progress(done / max(size, done))
    return digest.hexdigest()


def _seek_before(container: Any, stream: Any, source: Source, first: int) -> int:
    """Go to the keyframe before the last one that is not after ``first``; gives the time of that.

    The first frames shown after a keyframe may need those before it (an open GOP), and are left out
    or damaged where decoding begins with it.
    """
    last = int(np.searchsorted(source.keys[:, 0], first, side='right')) - 1
    if last > 1:
        container.seek(int(source.keys[last - 1].min()), stream=stream, backward=True)
    return int(source.keys[last, 0]) if last >= 0 else int(source.pts[0])


def _decode_needed(container: Any, stream: Any, source: Source, wanted: set[int]) -> Iterator[Any]:
    context = stream.codec_context
    can_skip = source.is_exact and context.name in SKIPPING_CODECS
    for packet in container.demux(stream):
        is_wanted = packet.pts is None or packet.pts in wanted
        context.skip_frame = 'DEFAULT' if is_wanted or not can_skip else 'NONREF'
        yield from packet.decode()


def _decoded_times(path: str) -> list[int]:
    with av.open(path) as container:
        times = [frame.pts for frame in container.decode(video=0)]
    if None in times:
        raise UndecodableVideoError(
            f'the frames of {path} have no times; give them some with: '
            'ffmpeg -fflags +genpts -i FILE -c copy OUT.mp4'
        )
    return times


def _upright_size(path: str) -> tuple[int, int]:
    with av.open(path) as container:
        for frame in container.decode(video=0):
            is_turned = round(frame.rotation / 90) % 2
            return (frame.width, frame.height) if is_turned else (frame.height, frame.width)
    raise EmptyVideoError(f'no frame of the video can be decoded: {path}')


def _to_bgr(frame: Any, short_side: int) -> np.ndarray:
    height, width = shrunk_size(frame.height, frame.width, short_side)
    kind = 'BICUBIC' if (height, width) == (frame.height, frame.width) else 'AREA'
    image = frame.reformat(width, height, format='bgr24', interpolation=kind).to_ndarray()
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


def _undecodable(source: Source, pts: int, reason: str) -> UndecodableVideoError:
    return UndecodableVideoError(
        f'cannot decode the frame at {float(pts * source.time_base):.3f} s of {source.path}: '
        f'{reason}. Get the file again, or encode it anew'
    )
