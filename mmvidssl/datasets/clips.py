"""Clips: their timing in a video, and their index in a data set.

The functions are pure, of a video's timestamps (seconds, ``(num_frames,)``).
"""

from typing import NamedTuple

import numpy as np

from .readers.base import nearest_frames

INTERVAL_UNITS = ('seconds', 'frames')


class ClipIndex(NamedTuple):
    """What a clip sampler hands to a data set.

    ``index`` is the sample; ``draw`` tells its augmentations apart (the epoch, for
    :class:`ClipSampler`): the same pair always gives the same sample.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which no one needs here
    draw: int


def check_clip_timing(clip_len: int, frame_interval: float, interval_unit: str) -> None:
    """Refuse settings that describe no clip."""
    if clip_len < 1:
        raise ValueError(f'clip_len must be at least 1 frame, got {clip_len}')
    if interval_unit not in INTERVAL_UNITS:
        raise ValueError(f'interval_unit must be one of {INTERVAL_UNITS}, got {interval_unit!r}')
    if frame_interval <= 0:
        raise ValueError(f'frame_interval must be positive, got {frame_interval}')
    if interval_unit == 'frames' and frame_interval != int(frame_interval):
        raise ValueError(
            f'frame_interval must be a whole number of frames, got {frame_interval}; '
            "use interval_unit='seconds' for a time"
        )


def count_clip_starts(
    timestamps: np.ndarray, clip_len: int, frame_interval: float, interval_unit: str
) -> int:
    """Number of frames at which a clip can start without running past the video (may be 0)."""
    num_frames = len(timestamps)
    if interval_unit == 'frames':
        return max(0, num_frames - (clip_len - 1) * int(frame_interval))
    # A time up to half a frame after the last frame is still nearest to it.
    slack = np.median(np.diff(timestamps)) / 2 if num_frames > 1 else 0.0
    latest = timestamps[-1] + slack - (clip_len - 1) * frame_interval
    return min(num_frames, int(np.searchsorted(timestamps, latest, side='right')))


def max_clip_len(timestamps: np.ndarray, frame_interval: float, interval_unit: str) -> int:
    """Length in frames of the longest clip that fits."""
    if interval_unit == 'frames':
        return (len(timestamps) - 1) // int(frame_interval) + 1
    return int((timestamps[-1] - timestamps[0]) / frame_interval + 1e-6) + 1


def clip_frame_inds(
    timestamps: np.ndarray, start: int, clip_len: int, frame_interval: float, interval_unit: str
) -> np.ndarray:
    """Frame numbers int64 ``(clip_len,)`` of the clip that starts at frame ``start``.

    In seconds, each is the frame nearest in time to ``timestamps[start] + j * frame_interval``,
    whatever the frame rate does in between; of two equally near, the earlier.
    """
    steps = np.arange(clip_len)
    if interval_unit == 'frames':
        return start + steps * int(frame_interval)
    return nearest_frames(timestamps, timestamps[start] + steps * frame_interval)
