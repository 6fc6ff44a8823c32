"""Short videos that every player shows."""

import os
from fractions import Fraction

import av
import numpy as np

from mmvidssl.utils.atomic_file import atomic_path


def write_video(path: str | os.PathLike, frames: np.ndarray, fps: float) -> None:
    """Write ``frames`` as H.264 (yuv420p, so an odd last row or column is repeated).

    Args:
        path: A ``.mp4`` file; written under a temporary name, then renamed.
        frames: ``(T, H, W, 3)`` uint8 RGB, at least one.
        fps: Frames per second.

    Raises:
        ValueError: If ``frames`` is empty or has another shape or type, or ``fps`` is not positive.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(
            f'frames must be uint8 (at least one frame, height, width, 3), '
            f'got {frames.dtype} {frames.shape}'
        )
    if fps <= 0:
        raise ValueError(f'fps must be positive, got {fps}')
    _, height, width, _ = frames.shape
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode='edge')
    with atomic_path(path) as temporary, av.open(str(temporary), 'w') as container:
        stream = container.add_stream('libx264', rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = 'yuv420p'
        stream.options = {'crf': '18'}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())
