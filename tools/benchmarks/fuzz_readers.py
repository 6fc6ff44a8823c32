"""Damage small videos at random and read them with every reader, under a deadline.

Prints the outcomes; the exit code is 1 if a reader held its caller beyond the deadline, or raised
an error other than a VideoError, which would stop a run.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.datasets.readers import (
    PROXY_SUFFIX,
    DecoderDiedError,
    DecodeTimeoutError,
    GuardedReaders,
    VideoError,
    is_proxy,
)
from mmvidssl.registry import VIDEO_READERS

NUM_FRAMES, HEIGHT, WIDTH, FPS = 36, 96, 128, 12
KINDS = ('bit flips', 'zeroed block', 'cut', 'doubled block', 'header bytes')
HEADER_BYTES = 2048
GRACE = 10.0
"""Seconds after the deadline until a request counts as hung: killing takes its time."""


class Sample(NamedTuple):
    """A kind of video to damage: file name, encoder and its options, options of the container."""

    name: str
    codec: str
    options: dict[str, str] = {}  # noqa: RUF012  never changed
    container: dict[str, str] = {}  # noqa: RUF012


SAMPLES = (
    Sample('closed.mp4', 'libx264', {'x264-params': 'keyint=12:bframes=3:open-gop=0'}),
    Sample('open.mp4', 'libx264', {'x264-params': 'keyint=12:bframes=3:open-gop=1'}),
    Sample(
        'faststart.mp4',
        'libx264',
        {'x264-params': 'keyint=36:bframes=3'},
        {'movflags': 'faststart'},
    ),
    Sample('closed.mkv', 'libx264', {'x264-params': 'keyint=12:bframes=3:open-gop=0'}),
    Sample('vp9.webm', 'libvpx-vp9', {'g': '12', 'deadline': 'realtime', 'cpu-used': '8'}),
    Sample('mpeg4.avi', 'mpeg4', {'g': '12', 'bf': '2'}),
)


class FuzzTally(NamedTuple):
    """Outcomes of reading the damaged videos, by reader.

    Attributes:
        outcomes: How many were 'decoded', ended in a 'typed error', a 'timeout' (their decoder was
            killed at the deadline), 'died' (took the decoder with them), 'untyped error' (not a
            :class:`VideoError`, so that a run would stop) or 'hung' (held the caller far beyond the
            deadline).
        not_decoded: A line for each that ended in one of the last four: sample, damage, error.
        skipped: For each reader, the videos that it cannot read while they are whole, and why;
            their damaged copies are not given to it.
    """

    outcomes: dict[str, Counter]
    not_decoded: dict[str, list[str]]
    skipped: dict[str, list[str]]

    @property
    def is_safe(self) -> bool:
        """Whether nothing hung, nor ended in an error that would stop a run."""
        return not any(count['hung'] + count['untyped error'] for count in self.outcomes.values())


def write_samples(folder: str | os.PathLike) -> list[Path]:
    """Write a small video of moving blocks for each of ``SAMPLES``, and a proxy; their paths."""
    rng = np.random.default_rng(0)
    wall = rng.integers(0, 256, (HEIGHT // 8, 2 * WIDTH // 8, 3), np.uint8)
    wall = wall.repeat(8, axis=0).repeat(8, axis=1)
    paths = []
    for sample in SAMPLES:
        paths.append(Path(folder) / sample.name)
        with av.open(str(paths[-1]), 'w', container_options=sample.container) as container:
            stream = container.add_stream(sample.codec, rate=FPS, options=sample.options)
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, 'yuv420p'
            for i in range(NUM_FRAMES):
                picture = np.ascontiguousarray(wall[:, 3 * i : 3 * i + WIDTH])
                frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    proxy = Path(folder, f'proxy{PROXY_SUFFIX}')
    make_proxy(paths[0], proxy, ProxySettings(fps=FPS))
    return [*paths, proxy]


def damage(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """One of ``KINDS`` and the damaged bytes; never the same as ``data``."""
    kind = KINDS[rng.integers(len(KINDS))]
    damaged = np.frombuffer(data, np.uint8).copy()
    start = int(rng.integers(len(data)))
    stop = min(len(data), start + int(2 ** rng.uniform(3, np.log2(len(data) / 2))))
    if kind == 'bit flips':
        places = rng.integers(len(data), size=int(2 ** rng.uniform(0, 8)))
        damaged[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
    elif kind == 'zeroed block':
        damaged[start:stop] = 0
    elif kind == 'cut':
        damaged = damaged[:start]
    elif kind == 'doubled block':
        damaged = np.concatenate([damaged[:stop], damaged[start:]])
    else:  # at one of the two ends, where containers keep their tables
        places = rng.integers(min(HEADER_BYTES, len(data)), size=int(rng.integers(1, 9)))
        places = places if rng.random() < 0.5 else len(data) - 1 - places
        damaged[places] = rng.integers(256, size=len(places))
    if damaged.tobytes() == data:
        damaged[start] ^= 255
    return kind, damaged.tobytes()


def fuzz_readers(
    folder: str | os.PathLike,
    num_damages: int = 1000,
    seed: int = 0,
    timeout: float = 10.0,
    readers: Sequence[str] | None = None,
) -> FuzzTally:
    """Read damaged videos by each reader, under a deadline; all readers of videos get the same.

    Args:
        folder: Where videos are written.
        num_damages: How many damaged videos each reader gets.
        seed: Seed of the damage.
        timeout: Seconds for a request.
        readers: Names of readers; all that are registered by default.
    """
    wholes = write_samples(folder)
    names = sorted(VIDEO_READERS.module_dict) if readers is None else list(readers)
    tally = FuzzTally({}, {}, {})
    guarded = GuardedReaders(max_open=1, timeout=timeout)
    for name in names:
        mine = [path for path in wholes if is_proxy(str(path)) == (name == 'ProxyReader')]
        errors = {path: _read(guarded, name, path)[1] for path in mine}
        tally.skipped[name] = [f'{path.name}: {error}' for path, error in errors.items() if error]
        readable = [path for path, error in errors.items() if not error]
        tally.outcomes[name], tally.not_decoded[name] = Counter(), []
        rng = np.random.default_rng(seed)
        for number in range(num_damages if readable else 0):
            whole = readable[number % len(readable)]
            kind, data = damage(whole.read_bytes(), rng)
            path = Path(folder) / f'damaged{number}_{whole.name}'  # the last may be open still
            path.write_bytes(data)
            outcome, message = _read(guarded, name, path)
            path.unlink()
            tally.outcomes[name][outcome] += 1
            if outcome not in ('decoded', 'typed error'):
                tally.not_decoded[name].append(f'{number}: {whole.name}, {kind}: {message}')
    guarded.close()
    return tally


def _read(readers: GuardedReaders, name: str, path: Path) -> tuple[str, str]:
    """Outcome of reading a video, and the error message if there is one."""
    outcome, message = 'decoded', ''
    longest = 0.0

    def timed(ask: Callable, *args: Any) -> Any:
        nonlocal longest
        started = time.monotonic()
        try:
            return ask(*args)
        finally:
            longest = max(longest, time.monotonic() - started)

    try:
        video = timed(readers.get, str(path), dict(type=name))
        last = timed(lambda: video.num_frames) - 1
        assert len(timed(lambda: video.timestamps)) == last + 1
        for inds in ([0, last // 2, last], [last // 3]):
            timed(video.get_frames, np.array(inds))
    except VideoError as error:
        message = f'{type(error).__name__}: {error}'
        kinds = {DecodeTimeoutError: 'timeout', DecoderDiedError: 'died'}
        outcome = kinds.get(type(error), 'typed error')
    except Exception as error:  # any: it is reported, and fails the run of this check
        outcome, message = 'untyped error', f'{type(error).__name__}: {error}'
    if longest > readers.timeout + GRACE:
        outcome, message = 'hung', f'{longest:.1f} s; {message}'
    return outcome, message


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num', type=int, default=1000, help='damaged videos (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the damages (%(default)s)')
    parser.add_argument(
        '--timeout', type=float, default=10, help='seconds for a request (%(default)s)'
    )
    parser.add_argument('--readers', nargs='+', help='by name, such as DecordReader (all)')
    parser.add_argument('--verbose', action='store_true', help='list what timed out or died')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = fuzz_readers(folder, args.num, args.seed, args.timeout, args.readers)
    for name, count in tally.outcomes.items():
        for line in tally.skipped[name]:
            print(f'{name} does not read this one even whole: {line}')
        counts = ', '.join(f'{outcome} {number}' for outcome, number in count.most_common())
        print(f'{name}: {count.total()} damaged videos: {counts or "none"}; hung {count["hung"]}')
        for line in tally.not_decoded[name] if args.verbose or not tally.is_safe else ():
            print(f'  {line}')
    print(f'{time.monotonic() - started:.0f} s; this process is alive')
    return 0 if tally.is_safe and any(map(len, tally.outcomes.values())) else 1


if __name__ == '__main__':
    sys.exit(main())
