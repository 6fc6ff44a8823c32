"""Looking at a video once, before training."""

from typing import NamedTuple

import numpy as np

from .guarded.client import Readers
from .reader_cache import FileStamp, ReaderCache, stamp_of


class VideoInfo(NamedTuple):
    """What a data set needs to know of a video: seconds per frame ``(num_frames,)`` float64."""

    path: str
    fps: float
    timestamps: np.ndarray
    stamp: FileStamp | None = None
    """What the file was like."""
    short_side: int = 0
    """Pixels of the shorter side of the frames; 0 if nobody looked."""

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return float(self.timestamps[-1] - self.timestamps[0] + 1 / self.fps)


def probe_video(path: str, reader: dict, readers: Readers | None = None) -> VideoInfo:
    """Open a video and decode its first and last frame.

    The last frame is where a damaged or wrongly indexed file shows.

    Args:
        path: The video file.
        reader: Config of the reader, without the path.
        readers: What opens it, and is closed by whoever made it; by default, this process does,
            without a deadline, and closes it again.

    Raises:
        VideoError: the file is missing, empty or cannot be decoded; the message names it.
    """
    opened = ReaderCache(max_open=1) if readers is None else readers
    try:
        stamp = stamp_of(path)
        video = opened.get(path, reader, stamp)
        ends = [video.get_frames(np.array([n])) for n in (0, video.num_frames - 1)]
        short_side = min(min(frame.shape[1:3]) for frame in ends)  # which may change on the way
        return VideoInfo(path, video.fps, video.timestamps, stamp, short_side)
    finally:
        if readers is None:
            opened.close()
