"""Which frames a video has, when each is shown, and from where it can be decoded."""

from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np

from .base import first_line
from .errors import EmptyVideoError, UndecodableVideoError

# Some packets of these show no frame: frames have to be counted.
CODECS_TO_COUNT = ('vp8',)


class VideoIndex(NamedTuple):
    """Times in units of ``time_base``, in the order in which frames are shown.

    Attributes:
        pts: int64 ``(num_frames,)``, increasing.
        key_pts: Of the keyframes, int64 ``(num_keys,)``, increasing.
        key_dts: Of the same, what the demuxer finds them by.
        time_base: Seconds of a unit.
        fps: Average number of frames per second.
        codec: FFmpeg's name of it.
        container: FFmpeg's names of it, such as ``'mov,mp4,m4a,3gp,3g2,mj2'``.
    """

    pts: np.ndarray
    key_pts: np.ndarray
    key_dts: np.ndarray
    time_base: Fraction
    fps: float
    codec: str
    container: str

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds at which each frame is shown, float64 ``(num_frames,)``."""
        return self.pts * self.time_base.numerator / self.time_base.denominator

    def key_of(self, pts: int) -> int:
        """Number of the keyframe from which a frame can be decoded: the last not after it."""
        return max(0, int(np.searchsorted(self.key_pts, pts, side='right')) - 1)


class _Times(NamedTuple):
    """Of a packet or a frame."""

    pts: int | None
    dts: int | None
    is_key: bool
    is_shown: bool


def build_index(path: str) -> VideoIndex:
    """Read every packet of the first video stream; decode none, but of VP8 and of odd files.

    What an edit list hides does not count.

    Raises:
        EmptyVideoError: there is no frame.
        UndecodableVideoError: not a video, without a video stream, or cut off.
    """
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise UndecodableVideoError(f'there is no video stream in {path}')
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise UndecodableVideoError(
                    f'{path} holds a codec that FFmpeg does not know, or is damaged at its start'
                )
            times = _packets(path, container, stream)
            codec, rate = stream.codec_context.name, stream.average_rate
            kind, time_base = container.format.name, Fraction(stream.time_base)
        if codec in CODECS_TO_COUNT or any(t.pts is None for t in times):
            times = _shown_frames(path)
    except (av.FFmpegError, ValueError) as error:
        raise UndecodableVideoError(
            f'cannot read {path} (not a video, cut off, or of an unknown kind): {first_line(error)}'
        ) from error
    if not any(t.is_shown for t in times):
        raise EmptyVideoError(f'the video has no frames: {path}')
    pts = np.unique(np.array([t.pts for t in times if t.is_shown], dtype=np.int64))
    keys = sorted((t.pts, t.pts if t.dts is None else t.dts) for t in times if t.is_key)
    table = np.array(keys or [(pts[0], pts[0])], dtype=np.int64)
    pts = pts[pts >= table[0, 0]]  # what a file shows before its first keyframe has no beginning
    seconds = float((int(pts[-1]) - int(pts[0])) * time_base)
    fps = (len(pts) - 1) / seconds if seconds > 0 else float(rate or 1)
    return VideoIndex(pts, table[:, 0], table[:, 1], time_base, fps, codec, kind)


def _packets(path: str, container: Any, stream: Any) -> list[_Times]:
    """Of all packets, hidden ones too. An MP4 that lists more than the file holds is refused."""
    times = []
    for packet in container.demux(stream):
        if packet.size and not packet.is_corrupt:
            times.append(_Times(packet.pts, packet.dts, packet.is_keyframe, not packet.is_discard))
    is_mp4 = 'mp4' in container.format.name
    num_listed = (len(stream.index_entries) or stream.frames) if is_mp4 else 0
    if len(times) < num_listed:
        raise UndecodableVideoError(
            f'{path} is cut off: it holds {len(times)} of {num_listed} frames; get it again, or '
            'keep what there is: ffmpeg -i FILE -c copy REPAIRED'
        )
    return times


def _shown_frames(path: str) -> list[_Times]:
    """The same by decoding everything."""
    with av.open(path) as container:
        times = [_Times(f.pts, f.dts, f.key_frame, True) for f in container.decode(video=0)]
    if any(t.pts is None for t in times):
        raise UndecodableVideoError(
            f'the frames of {path} have no times; give them some with: '
            'ffmpeg -fflags +genpts -i FILE -c copy OUT.mp4'
        )
    return times
