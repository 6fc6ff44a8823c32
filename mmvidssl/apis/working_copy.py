"""A small copy of a video that a training loop can read at speed.

Hours of 4K cannot be decoded in minutes. The copy is small (short side 160), every frame is a key
frame (Motion JPEG, so a random frame costs one frame's decoding), it covers the whole video or as
many evenly spread stretches as a time budget allows, and no file in it crosses a cut.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from rich.console import Console

from mmvidssl.datasets.readers import UndecodableVideoError
from mmvidssl.datasets.readers.base import check_video_file
from mmvidssl.datasets.readers.video_index import open_video
from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.utils.progress_bar import ProgressBar

from .shot_writer import TIME_BASE, Piece, ShotWriter, Shrinker, TimedFrame

ANN_FILE = 'videos.txt'
MAX_FPS = 30.0
MAX_FRAMES = 12000  # in the whole copy: about 100 MB
MIN_PIECE = 1.0  # seconds; shorter pieces between two cuts are left out
NUM_STRETCHES = 16  # at most, of a video that is too long to be copied whole
MIN_STRETCH = 4.0  # seconds
MAX_LEAD = 0.25  # of a stretch's length


class WorkingCopy(NamedTuple):
    """What :func:`write_working_copy` made, the pieces in order of time."""

    source: Path
    source_seconds: float
    whole: bool
    """Whether all of the source was read; else evenly spread stretches of it."""
    pieces: list[Piece]


def write_working_copy(
    video: str | os.PathLike,
    out_dir: str | os.PathLike,
    budget: float,
    short_side: int = 160,
    show_progress: bool = True,
) -> WorkingCopy:
    """Copy ``video`` into ``out_dir`` as small files that are quick to read.

    Args:
        video: Any video file that FFmpeg reads.
        out_dir: Folder for the files ``piece_000.mp4`` and so on, and for ``videos.txt``, which
            lists them and serves as a data set's ``ann_file``.
        budget: Seconds of wall-clock time to spend, about; two stretches are copied in any case.
        short_side: Pixels of the shorter side; a smaller source is not enlarged.
        show_progress: Draw a progress bar.

    Raises:
        VideoError: If the file is missing, empty or no video; names it.
        ValueError: If the video holds no uncut second; names it.
    """
    video = Path(video)
    check_video_file(str(video))
    try:
        with open_video(video) as source:
            if not source.streams.video:
                raise UndecodableVideoError(f'{video} holds no video stream')
            source.streams.video[0].thread_type = 'AUTO'
            seconds = _duration(source)
            stretches, whole = _plan(source, seconds, budget, short_side)
            console = None if show_progress else Console(quiet=True)
            with ProgressBar('copying the video', _total(stretches), console) as bar:
                writer = ShotWriter(Path(out_dir), short_side, bar)
                _copy(source, stretches, writer, deadline=time.monotonic() + budget)
    except FFmpegError as error:
        raise UndecodableVideoError(
            f'{video} cannot be read as a video: {error.strerror}'
        ) from error
    pieces = _keep_long(writer.pieces)
    if not pieces:
        longest = max((p.duration for p in writer.pieces), default=0.0)
        raise ValueError(
            f'{video} is too short: at least {MIN_PIECE:g} s without a cut are needed, '
            f'the longest uncut piece lasts {longest:.2f} s'
        )
    with atomic_path(Path(out_dir) / ANN_FILE) as temporary:
        temporary.write_text(''.join(f'{piece.path.name}\n' for piece in pieces))
    return WorkingCopy(video, seconds or sum(p.duration for p in pieces), whole, pieces)


def _copy(source: InputContainer, stretches, writer: ShotWriter, deadline: float) -> None:
    for i, (start, stop) in enumerate(stretches):
        if i >= 2 and time.monotonic() > deadline:
            return
        writer.write(_decode(source, start, stop))


def _total(stretches) -> float:
    return sum(stop - start for start, stop in stretches)


def _duration(source: InputContainer) -> float | None:
    """Seconds, or None where the container does not know."""
    stream = source.streams.video[0]
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return source.duration / av.time_base if source.duration else None


def _plan(
    source: InputContainer, seconds: float | None, budget: float, short_side: int
) -> tuple[list[tuple[float, float]], bool]:
    """Which stretches to copy, in the order to copy them, and whether that is the whole video.

    How much can be copied is measured, not assumed. Stretches come in an order in which every
    prefix is spread over the video, because the budget may end the copying at any.
    """
    speed, fps = _measure_speed(source, short_side)
    affordable = min(speed * budget, MAX_FRAMES / min(fps, MAX_FPS))
    if seconds is None:
        return [(0.0, affordable)], False
    if seconds <= max(affordable, 2 * MIN_STRETCH):
        return [(0.0, seconds + 1.0)], True  # containers round their durations
    length = max(MIN_STRETCH, affordable / NUM_STRETCHES)
    most = int(seconds / (length * (1 + MAX_LEAD)))
    count = max(2, min(NUM_STRETCHES, round(affordable / length), most))
    # The i-th stretch lies in the middle of the i-th of `count` equal parts.
    starts = [(i + 0.5) * seconds / count - length / 2 for i in range(count)]
    order = sorted(range(count), key=_van_der_corput)
    return [(starts[i], starts[i] + length) for i in order], False


def _van_der_corput(index: int) -> float:
    """The binary digits of ``index`` mirrored at the point: 0, 1/2, 1/4, 3/4, 1/8 ..."""
    value, weight = 0.0, 0.5
    while index:
        value += weight * (index & 1)
        index, weight = index >> 1, weight / 2
    return value


def _measure_speed(
    source: InputContainer, short_side: int, wall_seconds: float = 1.5
) -> tuple[float, float]:
    """Seconds of video copied per second of wall-clock time, and frames per second."""
    shrink = Shrinker(short_side)
    started, times = time.monotonic(), []
    for frame, when, _ in _decode(source, 0.0, float('inf')):
        shrink(frame)
        times.append(when)
        if time.monotonic() - started > wall_seconds:
            break
    if len(times) < 2:
        return 0.0, MAX_FPS
    covered = max(times[-1] - times[0], 1e-3)
    return covered / (time.monotonic() - started), (len(times) - 1) / covered


def _decode(source: InputContainer, start: float, stop: float) -> Iterator[TimedFrame]:
    """As many seconds as lie between ``start`` and ``stop``, at most ``MAX_FPS`` frames each.

    They begin at the key frame at or before ``start``: a stretch that starts early costs nothing,
    decoding up to its exact start would. But not more than ``MAX_LEAD`` early, so that stretches
    with few key frames in between do not overlap.
    """
    stream = source.streams.video[0]
    time_base = stream.time_base or TIME_BASE
    origin = stream.start_time or 0
    source.seek(int(start / time_base) + origin, stream=stream)
    first = last = None
    for frame in source.decode(stream):
        if frame.pts is None:
            continue
        now = float((frame.pts - origin) * time_base)
        if now < start - MAX_LEAD * (stop - start):
            continue
        first = now if first is None else first
        if now - first >= stop - start:
            return
        if last is None or now >= last + 1 / MAX_FPS - 1e-3:
            last = now
            yield TimedFrame(frame, now)


def _keep_long(pieces: list[Piece]) -> list[Piece]:
    """The pieces worth having in order of time; the files of the others are removed."""
    typical = float(np.median([p.duration for p in pieces])) if pieces else 0.0
    kept = [p for p in pieces if p.duration >= max(MIN_PIECE, 0.4 * typical)]
    for piece in set(pieces) - set(kept):
        piece.path.unlink()
    return sorted(kept, key=lambda p: p.start)
