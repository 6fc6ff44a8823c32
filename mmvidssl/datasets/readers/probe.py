"""Probing a video before training: its timestamps, frame rate and size."""

from typing import NamedTuple

import numpy as np

from .guarded.client import Readers
from .reader_cache import FileStamp, ReaderCache, stamp_of


class VideoInfo(NamedTuple):
    """Facts of a video for a data set; ``timestamps`` are seconds, float64 ``(num_frames,)``."""

    path: str
    fps: float
    timestamps: np.ndarray
    stamp: FileStamp | None = None
    """Size and time of change of the file when it was probed."""
    short_side: int = 0
    """Pixels of the shorter side of the frames; 0 if unknown."""

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return float(self.timestamps[-1] - self.timestamps[0] + 1 / self.fps)


def probe_video(path: str, reader: dict, readers: Readers | None = None) -> VideoInfo:
    """Open a video and decode its first and last frame.

    A damaged or wrongly indexed file usually fails at its last frame.

    Args:
        path: The video file.
        reader: Config of the reader, without the path.
        readers: Readers that open it, which the caller closes; by default, it is opened in this
            process, without a time limit, and closed again.

    Raises:
        VideoError: the file is missing, empty or cannot be decoded; the message names it.
    """
    opened = ReaderCache(max_open=1) if readers is None else readers
    try:
        stamp = stamp_of(path)
        video = opened.get(path, reader, stamp)
        ends = [video.get_frames(np.array([n])) for n in (0, video.num_frames - 1)]
        short_side = min(min(frame.shape[1:3]) for frame in ends)  # it may change within a video
        return VideoInfo(path, video.fps, video.timestamps, stamp, short_side)
    finally:
        if readers is None:
            opened.close()
