"""The video that a proxy is made of: its frames' times, and the chosen frames, decoded."""

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from mmvidssl.datasets.readers import PyAVReader
from mmvidssl.datasets.readers.base import nearest_frames

BLOCK = 1 << 22


class Source(NamedTuple):
    """A video, looked through once.

    Attributes:
        path: The file.
        times: Seconds at which each frame is shown, as the file says, float64 ``(num_frames,)``.
        size: Height and width of its frames, upright.
    """

    path: str
    times: np.ndarray
    size: tuple[int, int]


def inspect_source(path: str) -> Source:
    """Read every packet of a video's first video stream, and decode its first frame.

    Raises:
        VideoError: missing, empty, without video stream, cut off, or not a video; names the file.
    """
    reader = PyAVReader(path)
    try:
        (first,) = reader.iter_frames(np.array([0]))
        return Source(path, reader.timestamps, first.shape[:2])
    finally:
        reader.close()


def choose_frames(times: np.ndarray, fps: float) -> np.ndarray:
    """The frames of a proxy: nearest to the first frame's time + k / ``fps``, none twice.

    Args:
        times: Seconds of the video's frames ``(num_frames,)``, increasing.
        fps: Frames of the proxy a second.

    Returns:
        Frame numbers int64, increasing.
    """
    num_steps = int((times[-1] - times[0]) * fps + 1e-6) + 1
    return np.unique(nearest_frames(times, times[0] + np.arange(num_steps) / fps))


def decode_frames(
    source: Source, wanted: np.ndarray, short_side: int, num_threads: int = 1
) -> Iterator[np.ndarray]:
    """Frames of a video as ``PyAVReader`` gives them, but with blue first, as OpenCV writes them.

    Args:
        source: The video.
        wanted: Frame numbers, increasing.
        short_side: Shrink frames whose shorter side is longer than this many pixels.
        num_threads: Threads of the decoder; 0 takes as many as there are cores.

    Yields:
        uint8 BGR ``(H, W, 3)``, one per wanted frame.

    Raises:
        UndecodableVideoError: a wanted frame does not come out whole.
    """
    reader = PyAVReader(source.path, num_threads)
    try:
        for frame in reader.iter_frames(wanted, short_side):
            yield cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    finally:
        reader.close()


def hash_file(path: str, progress: Callable[[float], None] | None = None) -> str:
    """SHA-256 of a file, hexadecimal; ``progress`` is told the share that is done."""
    digest, done, size = hashlib.sha256(), 0, os.path.getsize(path)
    with open(path, 'rb') as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            if progress:
                progress(done / max(size, done))
    return digest.hexdigest()
