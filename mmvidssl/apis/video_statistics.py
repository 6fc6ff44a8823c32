"""What videos are like: light, shots, motion, sharpness, repeated frames, objects."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmvidssl.datasets.readers import ShortVideoError, VideoReader, build_readers, probe_video
from mmvidssl.datasets.readers.reader_cache import stamp_of
from mmvidssl.datasets.walking_tours_videos import FPS, MINUTES, SIZE
from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.utils.progress import progress
from mmvidssl.utils.setup_env import num_cores
from mmvidssl.version import __version__

from .media import READER
from .proxies.one_video import only_this_process_makes
from .report.write import render_page

Detect = Callable[[np.ndarray], Sequence[str]]
"""Class names of the objects in an RGB frame ``(H, W, 3)``, uint8, one an object."""

SHORT_SIDE, DETECTOR_SIDE = 360, 800  # pixels of the frames that are looked at
MIN_SIDE, FLOW_SIDE = 16, 256  # OpenCV's flow may crash on frames that are long and narrow
# Least change from a frame to the next at a cut, and from one frame to a later one to look there
# for such; mean difference, in grey values, without which colours only fade.
CUT, MAY_HOLD_CUT, FADE = 0.5, 0.4, 12.0
LITTLE, MUCH = 5 * 255 / 219, 12 * 255 / 219  # mpdecimate's lo and hi, of a pixel in [16, 235]
MANY = 0.33  # its frac
TIMEOUT = 600.0  # seconds for a few frames of any video
CHUNK = 32  # frames in memory
CURVES, MAX_POINTS = ('lightness', 'motion', 'sharpness'), 300  # that are drawn


def describe_video(
    path: str | os.PathLike,
    per_second: float = 2.0,
    detect: Detect | None = None,
    every: float = 2.0,
) -> dict[str, Any]:
    """Look at two frames that follow one another, ``per_second`` times a second, at random times.

    Regular times would beat with frames that repeat regularly. Memory does not depend on the length
    but for the times of the frames.

    Args:
        path: The video, or a proxy.
        per_second: How often frames are looked at.
        detect: What finds objects.
        every: Seconds from one frame in which objects are looked for to the next.

    Returns:
        What JSON can hold: ``path`` and ``stamp`` of the file; ``start``, the first frame,
        ``duration``, to the end of the last, and ``cuts``, at which further shots begin, in
        seconds; ``fps`` and ``num_frames``, of all there are; ``width`` and ``height``, upright;
        ``frames``, lists by name, see :func:`measure_pair`, with ``time``; ``objects``, ``time``
        and ``counts`` of each class, or None without ``detect``; their means in ``summary``.

    Raises:
        VideoError: the video cannot be read, has one frame, or is below 16 pixels; names it.
        ValueError: ``per_second`` or ``every`` is not positive.
    """
    _check(per_second, every)
    readers, cfg = build_readers(timeout=TIMEOUT), dict(READER, num_threads=num_cores())
    try:
        info = probe_video(str(path), cfg, readers)
        times, reader = info.timestamps, readers.get(info.path, cfg, info.stamp)
        height, width = reader.get_frames(np.array([0])).shape[1:3]
        if len(times) < 2 or min(height, width) < MIN_SIDE:
            shape = f'it has {len(times)} frames of {width} x {height} pixels'
            raise ShortVideoError(f'{path} is too short or small: {shape}, below 2 or {MIN_SIDE}')
        frames, cuts = _look(reader, times, sample_frames(times, per_second))
        summary = {name: float(np.mean(x)) for name, x in frames.items() if name != 'time'}
        summary |= dict(lightness_std=float(np.std(frames['lightness'])), shots=len(cuts) + 1)
        objects = None
        if detect is not None:
            numbers = sample_frames(times, 1 / every)
            found = progress(_read(reader, numbers, DETECTOR_SIDE), 'objects', len(numbers))
            counts = [Counter(detect(frame)) for _, frame in found]
            objects = dict(time=times[numbers].tolist(), counts=list(map(dict, counts)))
            summary['objects'] = float(np.mean([seen.total() for seen in counts]))
            summary['classes'] = float(np.mean([len(seen) for seen in counts]))
    finally:
        readers.close()
    file = dict(path=info.path, stamp=info.stamp, start=float(times[0]), duration=info.duration)
    file |= dict(fps=info.fps, num_frames=len(times), width=width, height=height)
    return dict(**file, summary=summary, cuts=cuts, frames=frames, objects=objects)


def sample_frames(timestamps: np.ndarray, per_second: float) -> np.ndarray:
    """Numbers of a frame at random in each ``1 / per_second`` s, the first, and the last but one.

    The same at every call. Increasing int64; each has a next frame.
    """
    spans = np.floor((timestamps[:-1] - timestamps[0]) * per_second)
    _, first, count = np.unique(spans, return_index=True, return_counts=True)
    drawn = first + (np.random.default_rng(0).random(len(first)) * count).astype(np.int64)
    return np.unique([0, *drawn, len(timestamps) - 2])


def measure_pair(frame: np.ndarray, after: np.ndarray, seconds: float) -> dict[str, float]:
    """A frame ``(H, W, 3)``, RGB uint8, and the next, ``seconds`` later, in numbers.

    ``lightness`` is the mean luma, 0 for black to 1 for white; ``sharpness`` the variance of its
    Laplacian, of grey values to 255; ``motion`` the mean length of the optical flow, in shorter
    sides a second; ``repeated`` 1 if ffmpeg's mpdecimate would drop the next frame, by luma.
    """
    luma, luma_after = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (frame, after))
    height, width = luma.shape
    size = FLOW_SIDE, FLOW_SIDE
    small = [cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (luma, luma_after)]
    optical_flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = optical_flow.calc(small[0], small[1], np.zeros((*size, 2), np.float32)) / FLOW_SIDE
    speed = np.hypot(*(flow * (width, height)).T).mean() / min(luma.shape) / seconds
    means = cv2.boxFilter(cv2.absdiff(luma, luma_after), cv2.CV_32F, (8, 8), anchor=(0, 0))
    blocks = means[: height - 7 : 4, 8 : width - 7 : 4]
    is_repeated = blocks.max() <= MUCH
    is_repeated &= (blocks > LITTLE).sum() <= (height // 16) * (width // 16) * MANY
    return dict(
        lightness=float(luma.mean() / 255),
        sharpness=float(cv2.Laplacian(luma, cv2.CV_32F).var()),
        motion=float(speed),
        repeated=float(is_repeated),
    )


def measure_change(frame: np.ndarray, other: np.ndarray) -> float:
    """The share of pixels, in [0, 1], that change their colour (of 256); 0 where they fade.

    Places do not count, so that it stays low where a camera moves, unlike differences of pixels.
    """
    if cv2.absdiff(frame, other).mean() < FADE:
        return 0.0
    hsv = (cv2.cvtColor(x, cv2.COLOR_RGB2HSV) for x in (frame, other))
    ranges = [0, 180, 0, 256, 0, 256]
    one, two = (cv2.calcHist([x], [0, 1, 2], None, [8, 4, 8], ranges) for x in hsv)
    return float(np.abs(one - two).sum() / (one.sum() + two.sum()))


def _look(
    reader: VideoReader, times: np.ndarray, numbers: np.ndarray
) -> tuple[dict[str, list[float]], list[float]]:
    """Series by name, and the seconds of cuts. Pairs across a cut tell no motion: left out."""
    read = _read(reader, np.stack([numbers, numbers + 1], axis=1).ravel(), SHORT_SIDE)
    rows: list[dict[str, float]] = []
    across: list[dict[str, float]] = []
    spans, before = [], None
    pairs = zip(read, read, strict=True)
    for (number, frame), (_, after) in progress(pairs, 'frames', len(numbers)):
        time, seconds = float(times[number]), float(times[number + 1] - times[number])
        row = dict(time=time, **measure_pair(frame, after, seconds))
        change = measure_change(frame, after)
        (across if change > CUT else rows).append(row)
        if before and measure_change(before[1], frame) > MAY_HOLD_CUT:
            spans.append(np.arange(before[0], number + 1))
        before = number, frame
    cuts = []
    for span in progress(spans, 'cuts'):
        for (_, frame), (number, after) in pairwise(_read(reader, span, SHORT_SIDE)):
            if measure_change(frame, after) > CUT:
                cuts.append(float(times[number]))
    cuts += [float(times[-1])] if change > CUT else []  # no span goes past the last pair
    rows = rows or across
    return {name: [row[name] for row in rows] for name in rows[0]}, cuts


def _read(
    reader: VideoReader, numbers: np.ndarray, short_side: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Frames with their numbers, a few at a time."""
    for start in range(0, len(numbers), CHUNK):
        some = numbers[start : start + CHUNK]
        yield from zip(some.tolist(), reader.get_frames(some, short_side), strict=True)


def describe_videos(
    videos: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    per_second: float = 2.0,
    detector: tuple[str, Detect] | None = None,
    every: float = 2.0,
) -> dict[str, str]:
    """Describe videos in ``out/statistics.json`` and ``statistics.html``, which needs nothing else.

    Both are written after each video, and the same call after a stop goes on: a video is looked at
    again if its file or the settings changed. One that fails does not stop the others. Entries of
    other videos, and earlier ones of a video that fails, stay in the JSON with their ``settings``.

    Args:
        videos: See :func:`describe_video`, also for ``per_second`` and ``every``.
        out: The folder; it is made.
        detector: What finds objects, after words for it, which are others where its answers are.

    Returns:
        Why videos could not be described, by path.

    Raises:
        ValueError: impossible settings, or ``statistics.json`` is something else.
    """
    _check(per_second, every)
    file, paths = Path(out, 'statistics.json'), list(dict.fromkeys(map(str, videos)))
    words, detect = detector or ('', None)
    settings = dict(version=__version__, per_second=per_second, detector=words)
    settings |= dict(every=every) if detector else {}
    failed: dict[str, str] = {}
    shown: list[dict[str, Any]] = []
    file.parent.mkdir(parents=True, exist_ok=True)
    with only_this_process_makes(file):
        try:
            past = json.loads(file.read_text('utf-8'))['videos'] if file.exists() else []
            done = {video['path']: video for video in past}
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f'{file} is damaged, or not of this tool: remove it') from error
        for path in paths:
            try:
                old = done.get(path, {})
                if old.get('settings') != settings or stamp_of(path) != tuple(old['stamp']):
                    found = describe_video(path, per_second, detect, every)
                    done[path] = found | dict(settings=settings)
                shown.append(done[path])
            # The last ones are a detector's.
            except (OSError, MemoryError, ValueError, RuntimeError, cv2.error) as error:
                reason = str(error).strip() or type(error).__name__
                failed[path] = reason if path in reason else f'{path}: {reason}'
            data = dict(failed=failed, videos=list(done.values()))
            page = _draw_page(shown, failed, settings)
            contents = {file: json.dumps(data).encode(), file.with_suffix('.html'): page}
            for name, content in contents.items():
                with atomic_path(name) as temporary:
                    temporary.write_bytes(content)
    return failed


def _check(per_second: float, every: float) -> None:
    if not (per_second > 0 and every > 0):
        raise ValueError(f'per_second and every must be positive, got {per_second} and {every}')


def _draw_page(videos: list[dict[str, Any]], failed: dict[str, str], settings: dict) -> bytes:
    """Videos of the same settings, side by side."""
    names = [Path(video['path']).name for video in videos]
    names = names if len(set(names)) == len(names) else [video['path'] for video in videos]
    longest = max((video['duration'] for video in videos), default=0)
    seconds = 60 if longest > 180 else 1
    panels: dict[str, list[dict[str, Any]]] = {}
    for name, video in zip(names, videos, strict=True):
        curves = {title: (video['frames']['time'], video['frames'][title]) for title in CURVES}
        if objects := video['objects']:
            curves['objects'] = objects['time'], [sum(x.values()) for x in objects['counts']]
            curves['classes'] = objects['time'], list(map(len, objects['counts']))
        for title, (x, y) in curves.items():
            curve = dict(name=name, x=_thin(np.array(x) / seconds), y=_thin(y))
            panels.setdefault(title, []).append(curve)
    told = dict(settings=settings, failed=failed, videos=videos, tours=(MINUTES, SIZE, FPS))
    drawn = dict(names=names, panels=panels, longest=longest, unit=seconds)
    return render_page('video_statistics.html.j2', **told, **drawn)


def _thin(values: Sequence | np.ndarray) -> list[float]:
    """Means of as many neighbours as leave few enough, to five digits."""
    groups = np.array_split(np.asarray(values, float), min(len(values), MAX_POINTS))
    return [float(f'{group.mean():.5g}') for group in groups]
