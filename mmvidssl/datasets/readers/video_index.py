"""Which frames a video has, when each is shown, and from where it can be decoded."""

from fractions import Fraction
from typing import Any, NamedTuple
from zlib import crc32

import av
import numpy as np

from mmvidssl.utils.compat import open_video

from .base import first_line
from .errors import EmptyVideoError, UndecodableVideoError, class_of_decoder_error
from .h264_slice import slice_kind

# Some packets of these show no frame: frames have to be counted.
CODECS_TO_COUNT = ('vp8',)
# AVI numbers the packets. Of the codecs that show frames in another order than they are stored in,
# these put guesses in the place of times.
GUESSED_IN_AVI = ('h264', 'hevc')
# MPEG-PS, in which packets may get the times of others when one does not read from the start.
SHIFTED = 'mpeg'


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
        has_b_frames: Whether frames are shown in another order than they are stored in.
        has_false_keys: Whether the file calls frames keyframes that refer to others (periodic
            intra-refresh); ``key_pts`` leaves them out.
        packet_pts: Of the packets as they are stored, int64 ``(num_frames,)``, where they depend on
            from where one reads (MPEG-PS); elsewhere empty.
        key_crcs: By which the keyframes are known again there, int64 ``(num_keys,)``.
    """

    pts: np.ndarray
    key_pts: np.ndarray
    key_dts: np.ndarray
    time_base: Fraction
    fps: float
    codec: str
    container: str
    has_b_frames: bool
    has_false_keys: bool
    packet_pts: np.ndarray
    key_crcs: np.ndarray

    @property
    def pitfall(self) -> str:
        """In what kind of file libraries that seek by themselves lose count; '' in others."""
        if self.has_false_keys:
            return 'keyframes that are none (periodic intra-refresh)'
        if self.container in (SHIFTED, 'mpegts'):
            return f'{self.codec} in {self.container}'
        return 'B-frames in AVI' if self.container == 'avi' and self.has_b_frames else ''

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds at which each frame is shown, float64 ``(num_frames,)``."""
        return self.pts * self.time_base.numerator / self.time_base.denominator

    def key_of(self, pts: int) -> int:
        """Number of the keyframe from which a frame can be decoded: the last not after it."""
        return max(0, int(np.searchsorted(self.key_pts, pts, side='right')) - 1)


class _Times(NamedTuple):
    """Of a packet or a frame; the last two only where they matter."""

    pts: int | None
    dts: int | None
    is_key: bool
    is_shown: bool
    kind: str = ''
    crc: int = 0

    @property
    def is_false_key(self) -> bool:
        return self.is_key and self.kind in ('P', 'B')


def build_index(path: str) -> VideoIndex:
    """Read every packet of the first video stream; decode none, but of VP8 and of odd files.

    What an edit list hides does not count.

    Raises:
        EmptyVideoError: there is no frame.
        UndecodableVideoError: not a video, without a video stream, or cut off.
    """
    try:
        with open_video(path) as container:
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
            has_b_frames = stream.codec_context.has_b_frames
        if kind == 'avi' and codec == 'h264':  # seen, where the header may only allow them
            has_b_frames = any(t.kind == 'B' for t in times)
        _check_times(path, kind, has_b_frames and codec in GUESSED_IN_AVI, times)
        has_false_keys = any(t.is_false_key for t in times)
        if codec in CODECS_TO_COUNT or any(t.pts is None for t in times):
            times = _shown_frames(path)
    except (av.FFmpegError, ValueError) as error:
        raise class_of_decoder_error(error, path)(
            f'cannot read {path} (not a video, cut off, or of an unknown kind): {first_line(error)}'
        ) from error
    shown = np.unique(np.array([t.pts for t in times if t.is_shown], dtype=np.int64))
    keys: list[tuple] = sorted(
        (t.pts, t.pts if t.dts is None else t.dts, t.crc)
        for t in times
        if t.is_key and not t.is_false_key
    ) or [(pts, pts, 0) for pts in shown[:1].tolist()]
    # What a file shows before its first keyframe has no beginning.
    pts = shown[shown >= keys[0][0]] if keys else shown
    if not len(pts):
        raise EmptyVideoError(f'the video has no frames: {path}')
    seconds = float((int(pts[-1]) - int(pts[0])) * time_base)
    fps = (len(pts) - 1) / seconds if seconds > 0 else float(rate or 1)
    stored = np.array([t.pts for t in times if kind == SHIFTED], dtype=np.int64)
    key_pts, key_dts, key_crcs = np.array(keys, dtype=np.int64).T
    return VideoIndex(
        pts, key_pts, key_dts, time_base, fps, codec, kind, has_b_frames, has_false_keys,
        stored, key_crcs
    )  # fmt: skip


def _check_times(path: str, container: str, are_guessed: bool, times: list[_Times]) -> None:
    """Refuse files that do not say when each frame is shown."""
    if container == 'avi' and are_guessed:
        what = 'AVI cannot say when its B-frames are shown'
    elif container == SHIFTED and len({t.pts for t in times} - {None}) < len(times):
        what = 'not all of its frames have times of their own'
    else:
        return
    raise UndecodableVideoError(f'{what}: {path}; encode it anew: ffmpeg -i FILE OUT.mp4')


def _packets(path: str, container: Any, stream: Any) -> list[_Times]:
    """Of all packets, hidden ones too. An MP4 that lists more than the file holds is refused."""
    context, is_avi = stream.codec_context, container.format.name == 'avi'
    is_h264, extradata = context.name == 'h264', context.extradata
    is_shifted = container.format.name == SHIFTED
    times = []
    for packet in container.demux(stream):
        if packet.size and not packet.is_corrupt:
            is_key = packet.is_keyframe
            kind = slice_kind(bytes(packet), extradata) if is_h264 and (is_key or is_avi) else ''
            crc = crc32(packet) if is_shifted and is_key else 0
            times.append(_Times(packet.pts, packet.dts, is_key, not packet.is_discard, kind, crc))
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
    with open_video(path) as container:
        times = [_Times(f.pts, f.dts, f.key_frame, True) for f in container.decode(video=0)]
    if any(t.pts is None for t in times):
        raise UndecodableVideoError(
            f'the frames of {path} have no times; encode it anew, which gives them some: '
            'ffmpeg -i FILE OUT.mp4'
        )
    return times
