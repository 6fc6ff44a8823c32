"""Time and memory of decoding clips of a long 4K video, by reader and as the released code does.

A file of 3840 x 2160 at 60 frames a second, a keyframe every 250, is made once in --work-dir: ten
seconds of moving texture are encoded, and repeated (3 MB a second: 11 GB for the hour). A clip has
8 frames, a second apart, from a random start; all readers take the same clips, in turn, each in
--workers processes at once, as the workers of a data loader share a machine.

- reopen: decord opens the file anew for each clip and decodes whole frames, one thread, as DoRA's
  released loader does;
- PyAVReader, DecordReader, TorchCodecReader: this package's, kept open;
- PyAVReader, guarded: the same in a process that is killed when it stalls, as in training;
- proxy: frames of a short side of 720 px, 4 a second, of a minute of the video.

Memory is the peak of a worker (with the process that decodes for it, if there is one), libraries
included and shared pages counted in proportion; processor time is that of the workers alone,
without that of guarding processes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
from measuring import make_parser, median_ratio, memory_with_children

from mmvidssl.datasets.readers import PROXY_SUFFIX, GuardedReaders, ReaderCache
from mmvidssl.utils.setup_env import num_cores

KINDS = (
    'reopen',
    'PyAVReader',
    'PyAVReader, guarded',
    'DecordReader',
    'TorchCodecReader',
    'proxy',
)
FPS, GOP, CLIP_LEN = 60, 250, 8


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument(
        '--work-dir', type=Path, default='work_dirs/decoding', help='folder of the generated videos'
    )
    parser.add_argument('--height', type=int, default=2160, help='height of frames in pixels')
    parser.add_argument('--minutes', type=float, default=60, help='length of the video in minutes')
    parser.add_argument('--clips', type=int, default=3, help='clips per worker and run')
    parser.add_argument('--proxy-clips', type=int, default=200, help='same for the kind proxy')
    parser.add_argument('--rounds', type=int, default=2, help='runs of each kind, taken in turn')
    parser.add_argument('--workers', type=int, default=num_cores(), help='worker processes per run')
    parser.add_argument('--short-side', type=int, help='shrink to this short side, px; None: off')
    parser.add_argument(
        '--kinds', nargs='+', choices=KINDS, default=KINDS, metavar='KIND', help='kinds to compare'
    )
    parser.add_argument('--kind', choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument('--seed', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


class Files:
    """Paths of the video, of a minute of it, and of the proxy made of that minute."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.minutes = dict(long=args.minutes, short=min(args.minutes, 1))
        self.long, self.short = (
            args.work_dir / f'{args.height}p60_{minutes:g}min.mp4'
            for minutes in self.minutes.values()
        )
        self.proxy = args.work_dir / f'{self.short.stem}{PROXY_SUFFIX}'

    def make(self, height: int, with_proxy: bool) -> None:
        """Write the files that do not exist yet."""
        _make(self.long, lambda path: make_video(path, height, self.minutes['long']))
        if with_proxy:
            from mmvidssl.apis import ProxySettings, make_proxy

            _make(self.short, lambda path: make_video(path, height, self.minutes['short']))
            settings = ProxySettings(short_side=720, fps=4)
            _make(self.proxy, lambda path: make_proxy(self.short, path, settings))


def _make(path: Path, write: Callable[[Path], object]) -> None:
    if not path.exists():
        started = time.monotonic()
        write(path)
        print(f'made {path} in {time.monotonic() - started:.0f} s', flush=True)


def make_video(path: Path, height: int, minutes: float, fps: int = FPS) -> None:
    """Write a video that repeats ten seconds of drifting, shaking texture under noise."""
    width = height * 16 // 9
    rng = np.random.default_rng(0)
    canvas = sum(
        cv2.resize(
            rng.normal(0, amplitude, (height // cell, width // cell, 3)).astype(np.float32),
            (width + 1200, height + 400),
            interpolation=cv2.INTER_CUBIC,
        )
        for cell, amplitude in ((120, 50), (24, 30), (5, 14))
    )
    canvas = (canvas + 128).clip(0, 255).astype(np.uint8)
    grain = [rng.integers(-6, 7, (height, width, 1), dtype=np.int16) for _ in range(3)]
    first = path.with_suffix('.first.mp4')
    with av.open(str(first), 'w') as container:
        stream = container.add_stream(
            'libx264',
            rate=fps,
            options={'preset': 'veryfast', 'x264-params': 'ref=3:bframes=3'},
        )
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        stream.gop_size, stream.codec_context.bit_rate = GOP, 24_000_000 * height**2 // 2160**2
        for i in range(10 * fps):
            left, top = 2 * i, int(150 + 100 * np.sin(i / 20)) + int(rng.integers(0, 3))
            view = canvas[top : top + height, left : left + width].astype(np.int16)
            frame = (view + grain[i % 3]).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())
    repeat_packets(first, path, round(minutes * 6))
    first.unlink()


def repeat_packets(source: Path, target: Path, times: int) -> None:
    partial = target.with_name('partial_' + target.name)
    with av.open(str(source)) as container, av.open(str(partial), 'w') as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        length = stream.duration
        for round_ in range(times):
            container.seek(0)
            for packet in container.demux(stream):
                if packet.dts is not None:
                    packet.pts += round_ * length
                    packet.dts += round_ * length
                    packet.stream = copy
                    out.mux(packet)
    partial.rename(target)


def measure(args: argparse.Namespace, files: Files) -> dict:
    """Decode clips by one kind in this process; return seconds of each, and mean CPU seconds."""
    is_proxy = args.kind == 'proxy'
    load, close = loader(args, str(files.proxy if is_proxy else files.long))
    num_clips = args.proxy_clips if is_proxy else args.clips
    latest = files.minutes['short' if is_proxy else 'long'] * 60 - CLIP_LEN
    starts = np.random.default_rng(args.seed).uniform(0, latest, num_clips)
    load(starts[0] / 2)  # opens, and reads the file's structure
    seconds = []
    before = time.process_time()
    for start in starts:
        started = time.perf_counter()
        load(start)
        seconds.append(time.perf_counter() - started)
    cpu = (time.process_time() - before) / num_clips
    close()
    return dict(seconds=seconds, cpu=cpu)


def loader(args: argparse.Namespace, path: str) -> tuple[Callable, Callable]:
    """A function that loads the clip at a start in seconds, and one that closes the reader."""
    if args.kind == 'reopen':
        import decord

        def reopen(start: float) -> np.ndarray:
            reader = decord.VideoReader(path, num_threads=1)
            first = round(start * FPS)
            return reader.get_batch([first + i * FPS for i in range(CLIP_LEN)]).asnumpy()

        return reopen, lambda: None
    name, _, guarded = args.kind.partition(', ')
    readers = GuardedReaders() if guarded else ReaderCache()
    config = dict(type='PyAVReader' if name == 'proxy' else name)

    def read(start: float) -> np.ndarray:
        reader = readers.get(path, config)
        return reader.get_frames(times=start + np.arange(CLIP_LEN), short_side=args.short_side)

    return read, readers.close


def run_workers(kind: str, num_workers: int, first_seed: int) -> list[dict]:
    """Results of :func:`measure` in several processes at once, with the peak memory of each."""
    workers = []
    for seed in range(first_seed, first_seed + num_workers):
        command = [sys.executable, *sys.argv, '--kind', kind, '--seed', str(seed)]
        workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    most = [0.0] * num_workers
    while any(worker.poll() is None for worker in workers):
        started = time.perf_counter()
        now = [memory_with_children(worker.pid) or 0 for worker in workers]
        most = list(map(max, most, now))
        time.sleep(50 * (time.perf_counter() - started))  # reading its memory stops a process
    outputs = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise SystemExit(f'{kind} failed')
    lines = [output.splitlines()[-1] for output in outputs]
    return [dict(json.loads(line), mib=mib) for line, mib in zip(lines, most, strict=True)]


def report(runs: dict[str, list[list[dict]]]) -> None:
    means = {
        kind: [statistics.fmean(s for worker in run for s in worker['seconds']) for run in results]
        for kind, results in runs.items()
    }
    for kind, results in runs.items():
        workers = [worker for run in results for worker in run]
        every = [s for worker in workers for s in worker['seconds']]
        line = (
            f'{kind:20} {statistics.fmean(every):7.3f} s a clip of a worker '
            f'({min(every):.3f} to {max(every):.3f}, {len(every)} clips), '
            f'{statistics.fmean(worker["cpu"] for worker in workers):.3f} s of processor time, '
            f'at most {max(worker["mib"] for worker in workers) * 2**20 / 1e9:.2f} GB a worker'
        )
        if 'reopen' in means:
            line += f', {median_ratio(means["reopen"], means[kind]):.1f} times the clips of reopen'
        print(line)


def main() -> None:
    args = parse_args()
    files = Files(args)
    if args.kind:
        print(json.dumps(measure(args, files)))
        return
    args.work_dir.mkdir(parents=True, exist_ok=True)
    files.make(args.height, with_proxy='proxy' in args.kinds)
    print(f'{files.long}: {files.long.stat().st_size / 2**20:.0f} MiB', flush=True)
    runs: dict[str, list[list[dict]]] = {kind: [] for kind in args.kinds}
    for round_ in range(args.rounds):
        for kind, results in runs.items():
            results.append(run_workers(kind, args.workers, round_ * args.workers))
    print(f'{args.workers} worker(s) at once')
    report(runs)


if __name__ == '__main__':
    main()
