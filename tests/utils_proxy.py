"""What the tests of proxies share."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np


def rotate_video(source: Path, target: Path, degrees: int) -> Path:
    """Copy a video and say in its metadata that it is to be shown turned, counter-clockwise."""
    with av.open(str(source)) as old, av.open(str(target), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        stream.set_display_rotation(degrees)
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return target


def decode_all(path: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """Seconds and RGB frames of a whole video, upright, with PyAV alone."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pixels = [np.rot90(f.to_ndarray(format='rgb24'), round(f.rotation / 90) % 4) for f in frames]
    return np.array([float(f.time) for f in frames]), pixels


def in_fork(function: Callable[[], object]) -> tuple[int, object]:
    """Exit code of a forked process that calls ``function``, and what it returned."""
    context = multiprocessing.get_context('fork')
    pipe, other = context.Pipe(duplex=False)

    def run():
        other.send(function())
        os._exit(0)

    process = context.Process(target=run)
    process.start()
    other.close()
    try:
        result = pipe.recv()
    except EOFError:
        result = None
    process.join(60)
    return process.exitcode, result
