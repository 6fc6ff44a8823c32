"""Looking at a video once, before training."""

from typing import NamedTuple

import numpy as np

from .file_stamp import FileStamp, stamp_of
from .guarded_readers import Readers
from .reader_cache import ReaderCache


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
    """Open a video, decode its first and last frame, and close it again.

    The last frame is where a damaged or wrongly indexed file shows. The reader is closed so that
    forked workers open their own.

    Args:
        path: The video file.
        reader: Config of the reader, without the path.
        readers: What opens it; by default, this process does, without a deadline.

    Raises:
        VideoError: the file is missing, empty or cannot be decoded; the message names it.
    """
    readers = ReaderCache(max_open=1) if readers is None else readers
    stamp = stamp_of(path)
    video = readers.get(path, reader, stamp)
    try:
        frames = video.get_frames(np.array([0, video.num_frames - 1]))
        short_side = min(frames.shape[1:3])
        return VideoInfo(path, video.fps, video.timestamps, stamp, short_side)
    finally:
        readers.forget(path)
