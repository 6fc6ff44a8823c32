"""The protocol of a video reader, and what is common to all."""

import stat
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from .errors import (
    EmptyVideoError,
    UndecodableVideoError,
    VideoError,
    VideoNotFoundError,
    class_of_system_error,
)

OLD_PROXY_SUFFIX = '.frames'


class VideoReader(Protocol):
    """One video file with random access to its frames.

    A backend takes the path first, raises :class:`VideoNotFoundError` or :class:`EmptyVideoError`
    when constructed, and opens the file when something is first asked of it.
    """

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        ...

    @property
    def fps(self) -> float:
        """Average number of frames per second."""
        ...

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds at which each frame is shown, float64 ``(num_frames,)``, never decreasing."""
        ...

    def get_frames(
        self,
        indices: np.ndarray | None = None,
        short_side: int | None = None,
        times: np.ndarray | None = None,
    ) -> np.ndarray:
        """Decode frames, given by number or by time.

        Args:
            indices: Frame numbers ``(T,)``, in any order, repeats allowed.
            short_side: Shrink frames whose shorter side is longer than this many pixels.
            times: Seconds ``(T,)`` in place of ``indices``; the nearest frames are taken.

        Returns:
            uint8 RGB ``(T, H, W, 3)``, upright.

        Raises:
            IndexError: a frame number outside the video.
            UndecodableVideoError: a frame cannot be decoded.
        """
        ...

    def close(self) -> None:
        """Free the file and the decoder; the next request opens them again."""
        ...


def check_video_file(path: str) -> None:
    """Refuse a path that cannot be a video, without opening it.

    Raises:
        VideoNotFoundError, EmptyVideoError, VideoError: missing, without a byte, not a file, it
            cannot be looked at, or it is a proxy of an older version.
    """
    file = Path(path)
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VideoNotFoundError(f'no such video: {path} (checked {file.absolute()})') from error
    except (OSError, ValueError) as error:  # a folder without permission, a lost disk
        raise class_of_system_error(error)(
            f'cannot look at {path}: {getattr(error, "strerror", None) or error}'
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise VideoError(f'a video must be a file, but this is not one: {path}')
    if found.st_size == 0:
        raise EmptyVideoError(f'the video has 0 bytes, get it again: {path}')
    if file.suffix == OLD_PROXY_SUFFIX:
        raise UndecodableVideoError(
            f'{path} is a proxy of an older mmvidssl, which this one does not read; make it anew: '
            'python tools/datasets/make_proxy.py VIDEO --out FOLDER'
        )


def check_frame_inds(indices: np.ndarray, num_frames: int, path: str) -> np.ndarray:
    """``indices`` as int64 ``(T,)``, all in ``[0, num_frames)``."""
    inds = np.asarray(indices, dtype=np.int64)
    if inds.ndim != 1 or inds.size == 0:
        raise ValueError(f'frame numbers must be a non-empty 1-D array, got shape {inds.shape}')
    if inds.min() < 0 or inds.max() >= num_frames:
        raise IndexError(
            f'frames {inds.min()}..{inds.max()} asked of {path}, '
            f'which has frames 0..{num_frames - 1}'
        )
    return inds


def nearest_frames(timestamps: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Numbers int64 ``(T,)`` of the frames nearest to ``times``; of two equally near, the earlier.

    Args:
        timestamps: Seconds of each frame ``(num_frames,)``, never decreasing.
        times: Seconds ``(T,)``.
    """
    last = len(timestamps) - 1
    after = np.searchsorted(timestamps, times).clip(min(1, last), last)
    before = np.maximum(after - 1, 0)
    nearer_before = times - timestamps[before] <= timestamps[after] - times
    return np.where(nearer_before, before, after).astype(np.int64)


def shrunk_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width whose shorter side is ``short_side``, if it was longer."""
    if short_side is None or min(height, width) <= short_side:
        return height, width
    ratio = short_side / min(height, width)
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def shrink_frame(frame: np.ndarray, short_side: int | None) -> np.ndarray:
    """Average ``(H, W, 3)`` down to ``short_side``; a smaller frame is returned as it is."""
    height, width = shrunk_size(frame.shape[0], frame.shape[1], short_side)
    if (height, width) == frame.shape[:2]:
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def first_line(error: Exception) -> str:
    """What an error of a library says, without its stack."""
    return next(iter(str(error).splitlines()), type(error).__name__)
