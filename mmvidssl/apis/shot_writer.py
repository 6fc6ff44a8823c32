"""Writing decoded frames as small files of key frames, a new file at every cut."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.utils.progress_bar import ProgressBar

TIME_BASE = Fraction(1, 90000)  # seconds; the usual clock of video containers


class Piece(NamedTuple):
    """One file of a working copy: a stretch of the source without a cut."""

    path: Path
    start: float
    """Seconds from the start of the source."""
    duration: float
    """Seconds."""
    num_frames: int


class TimedFrame(NamedTuple):
    """A decoded frame, its time in seconds, and the number of the shot it belongs to."""

    frame: av.VideoFrame
    time: float
    shot: int = 0


class Shrinker:
    """Scales decoded frames to one size: short side ``short_side`` at most, both sides even."""

    def __init__(self, short_side: int) -> None:
        self.short_side = short_side
        self.size: tuple[int, int] | None = None
        self.reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        if self.size is None:
            scale = min(1.0, self.short_side / min(frame.width, frame.height))
            width, height = (max(2, 2 * round(s * scale / 2)) for s in (frame.width, frame.height))
            self.size = width, height
        return self.reformatter.reformat(
            frame,
            *self.size,
            format='yuvj420p',
            interpolation='AREA',
            dst_color_range='JPEG',
        )


class CutDetector:
    """A cut: the picture changes by much, and by far more than it did from frame to frame before.

    Args:
        threshold: Mean change of a 32x16 thumbnail's brightness, of 255.
        jump: How many times the change before it.
    """

    def __init__(self, threshold: float = 24.0, jump: float = 2.0) -> None:
        self.threshold, self.jump = threshold, jump
        self.thumbnail: np.ndarray | None = None
        self.change = 0.0

    def __call__(self, luma: np.ndarray) -> bool:
        """Whether ``luma`` ``(H, W)`` uint8 is the first frame of a new shot."""
        thumbnail = cv2.resize(luma, (32, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
        previous, self.thumbnail = self.thumbnail, thumbnail
        if previous is None:
            return False
        before, self.change = self.change, float(np.abs(thumbnail - previous).mean())
        return self.change > max(self.threshold, self.jump * before)


class ShotWriter:
    """Writes small copies of frames to ``piece_000.mp4`` and so on, one file a shot.

    Args:
        out_dir: Folder for the files.
        short_side: Pixels of the shorter side.
        bar: Is told the seconds of video written so far.
    """

    def __init__(self, out_dir: Path, short_side: int, bar: ProgressBar) -> None:
        self.out_dir = out_dir
        self.shrink = Shrinker(short_side)
        self.bar = bar
        self.pieces: list[Piece] = []

    def write(self, frames: Iterable[TimedFrame]) -> None:
        """Write one stretch of consecutive frames."""
        shots = self._number_shots(frames)
        first = next(shots, None)
        while first is not None:
            first = self._write_shot(first, shots)

    def _number_shots(self, frames: Iterable[TimedFrame]) -> Iterator[TimedFrame]:
        is_cut, shot = CutDetector(), 0
        for full, time, _ in frames:
            frame = self.shrink(full)
            luma = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)
            shot += is_cut(luma[:, : frame.width])  # a line may be padded
            yield TimedFrame(frame, time, shot)

    def _write_shot(self, first: TimedFrame, rest: Iterator[TimedFrame]) -> TimedFrame | None:
        """Write the frames of ``first``'s shot; return the first frame of the next, if any."""
        path = self.out_dir / f'piece_{len(self.pieces):03d}.mp4'
        times: list[float] = []
        following = None
        before = sum(p.duration for p in self.pieces)
        with atomic_path(path) as temporary, av.open(str(temporary), 'w') as sink:
            stream = _add_stream(sink, first.frame)
            for frame, time, shot in chain([first], rest):
                if shot != first.shot:
                    following = TimedFrame(frame, time, shot)
                    break
                frame.pts, frame.time_base = round((time - first.time) / TIME_BASE), TIME_BASE
                sink.mux(stream.encode(frame))
                times.append(time)
                self.bar.update(before + time - first.time)
            sink.mux(stream.encode())
        duration = (times[-1] - times[0]) * len(times) / max(1, len(times) - 1)
        self.pieces.append(Piece(path, first.time, duration, len(times)))
        return following


def _add_stream(sink: av.container.OutputContainer, frame: av.VideoFrame) -> av.VideoStream:
    stream = sink.add_stream('mjpeg', rate=30)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, 'yuvj420p'
    stream.codec_context.time_base = TIME_BASE
    stream.codec_context.qmin, stream.codec_context.qmax = 2, 4  # next to no visible loss
    return stream
