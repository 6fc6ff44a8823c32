"""Looking at a video once, before training."""

from typing import NamedTuple

import numpy as np

from .build import build_reader


class VideoInfo(NamedTuple):
    """What a data set needs to know of a video: seconds per frame ``(num_frames,)`` float64."""

    path: str
    fps: float
    timestamps: np.ndarray
    short_side: int = 0
    """Pixels of the shorter side of the frames; 0 if nobody looked."""

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return float(self.timestamps[-1] - self.timestamps[0] + 1 / self.fps)


def probe_video(path: str, reader: dict) -> VideoInfo:
    """Open a video, decode its first and last frame, and close it again.

    The last frame is where a damaged or wrongly indexed file shows. The reader is closed so that
    forked workers open their own.

    Args:
        path: The video file.
        reader: Config of the reader, without the path.

    Raises:
        VideoError: the file is missing, empty or cannot be decoded; the message names it.
    """
    video = build_reader(path, reader)
    try:
        frames = video.get_frames(np.array([0, video.num_frames - 1]))
        short_side = min(frames.shape[1:3])
        return VideoInfo(path, video.fps, video.timestamps, short_side=short_side)
    finally:
        video.close()
