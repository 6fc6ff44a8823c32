"""Clip timing (which frames of a video form a clip), and the index of a clip in a data set.

Pure functions of a video's timestamps (seconds, ``(num_frames,)``).
"""

from typing import NamedTuple

import numpy as np

from .readers.base import nearest_frames

INTERVAL_UNITS = ('seconds', 'frames')


class ClipIndex(NamedTuple):
    """Index that a clip sampler passes to a data set: a sample, and a random draw of it.

    ``index`` is the sample's number; ``draw`` selects its random augmentation (the epoch, for
    :class:`ClipSampler`). The same pair always gives the same sample.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which no one needs here
    draw: int


def check_clip_timing(clip_len: int, frame_interval: float, interval_unit: str) -> None:
    """Raise ``ValueError`` for an impossible clip_len, frame_interval or interval_unit."""
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
    # A time up to half a frame after the last frame still rounds to that frame.
    slack = np.median(np.diff(timestamps)) / 2 if num_frames > 1 else 0.0
    latest = timestamps[-1] + slack - (clip_len - 1) * frame_interval
    return min(num_frames, int(np.searchsorted(timestamps, latest, side='right')))


def max_clip_len(timestamps: np.ndarray, frame_interval: float, interval_unit: str) -> int:
    """Largest ``clip_len`` with which a clip fits into the video."""
    if interval_unit == 'frames':
        return (len(timestamps) - 1) // int(frame_interval) + 1
    return int((timestamps[-1] - timestamps[0]) / frame_interval + 1e-6) + 1


def clip_frame_inds(
    timestamps: np.ndarray, start: int, clip_len: int, frame_interval: float, interval_unit: str
) -> np.ndarray:
    """Frame numbers int64 ``(clip_len,)`` of the clip that starts at frame ``start``.

    With ``interval_unit='seconds'``, frame j is the nearest in time (the earlier of two) to
    ``timestamps[start] + j * frame_interval``, so that a varying frame rate does not matter.
    """
    steps = np.arange(clip_len)
    if interval_unit == 'frames':
        return start + steps * int(frame_interval)
    return nearest_frames(timestamps, timestamps[start] + steps * frame_interval)
