"""Seconds and memory of clips of a long 4K video, by reader, beside the released code's way.

A file of 3840 x 2160 at 60 frames a second, a keyframe every 250, is made once in --work-dir: ten
seconds of moving texture are encoded, and repeated (3 MB a second: 11 GB for the hour). A clip has
8 frames, a second apart, from a random start; all readers take the same clips, in turn, each in
--workers processes at once, as the workers of a data loader share a machine.

- reopen: decord opens the file anew for each clip and decodes whole frames, one thread, as DoRA's
  released loader does;
- PyAVReader, DecordReader, TorchCodecReader: this package's, kept open;
- PyAVReader, guarded: the same in a process that is killed when it stalls, as in training;
- proxy: frames of a short side of 720 px, 4 a second, made by tools/datasets/make_proxy.py of a
  minute of the video.

Memory is the most that a worker has (with the process that decodes for it, where there is one),
libraries included, pages that several share counted in parts; processor time is that of the
workers alone, without that of guarding processes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmvidssl.utils.cores import num_cores

KINDS = (
    'reopen',
    'PyAVReader',
    'PyAVReader, guarded',
    'DecordReader',
    'TorchCodecReader',
    'proxy',
)
FPS, GOP, CLIP_LEN = 60, 250, 8


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/decoding'))
    parser.add_argument('--height', type=int, default=2160, help='of frames (default: %(default)s)')
    parser.add_argument('--minutes', type=float, default=60, help='(default: %(default)s)')
    parser.add_argument('--clips', type=int, default=3, help='a worker (default: %(default)s)')
    parser.add_argument('--proxy-clips', type=int, default=200, help='(default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=2, help='runs of each (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=num_cores(), help='(default: one a core)')
    parser.add_argument('--short-side', type=int, help='shrink frames to it (default: do not)')
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=KINDS, metavar='KIND')
    parser.add_argument('--kind', choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument('--seed', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def make_video(path: Path, height: int, minutes: float) -> None:
    """Ten seconds of texture that drifts and shakes under noise, again and again."""
    import av
    import cv2
    import numpy as np

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
            rate=FPS,
            options={'preset': 'veryfast', 'x264-params': 'ref=3:bframes=3'},
        )
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        stream.gop_size, stream.codec_context.bit_rate = GOP, 24_000_000 * height**2 // 2160**2
        for i in range(10 * FPS):
            left, top = 2 * i, int(150 + 100 * np.sin(i / 20)) + int(rng.integers(0, 3))
            view = canvas[top : top + height, left : left + width].astype(np.int16)
            frame = (view + grain[i % 3]).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())
    repeat_packets(first, path, round(minutes * 6))
    first.unlink()


def repeat_packets(source: Path, target: Path, times: int) -> None:
    import av

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


def make_proxy(video: Path, proxy: Path) -> None:
    script = Path(__file__).parents[1] / 'datasets/make_proxy.py'
    command = [sys.executable, str(script), str(video), '--out', str(proxy.parent)]
    started = time.monotonic()
    subprocess.run([*command, '--short-side', '720', '--fps', '4'], check=True)
    print(f'made {proxy} in {time.monotonic() - started:.0f} s', flush=True)


def measure(args: argparse.Namespace, video: Path, proxy: Path) -> dict:
    """Seconds of each clip of one kind in this process."""
    import numpy as np

    load, close = loader(args, video, proxy)
    is_proxy = args.kind == 'proxy'
    num_clips = args.proxy_clips if is_proxy else args.clips
    latest = (proxy_minutes(args) if is_proxy else args.minutes) * 60 - CLIP_LEN
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


def loader(args: argparse.Namespace, video: Path, proxy: Path) -> tuple[Callable, Callable]:
    """A function from a start in seconds to a clip, and one that ends it."""
    import numpy as np

    if args.kind == 'reopen':
        import decord

        def reopen(start: float) -> np.ndarray:
            reader = decord.VideoReader(str(video), num_threads=1)
            first = round(start * FPS)
            return reader.get_batch([first + i * FPS for i in range(CLIP_LEN)]).asnumpy()

        return reopen, lambda: None
    from mmvidssl.datasets.readers import GuardedReaders, ReaderCache

    name, _, guarded = args.kind.partition(', ')
    readers = GuardedReaders() if guarded else ReaderCache()
    path, kind = (proxy, 'ProxyReader') if name == 'proxy' else (video, name)

    def read(start: float) -> np.ndarray:
        reader = readers.get(str(path), dict(type=kind))
        return reader.get_frames(times=start + np.arange(CLIP_LEN), short_side=args.short_side)

    return read, readers.close


def proxy_minutes(args: argparse.Namespace) -> float:
    return min(args.minutes, 1)


def main() -> None:
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    video = args.work_dir / f'{args.height}p60_{args.minutes:g}min.mp4'
    short = args.work_dir / f'{args.height}p60_{proxy_minutes(args):g}min.mp4'
    proxy = args.work_dir / f'proxies/{short.stem}.proxy.mp4'
    if args.kind:
        print(json.dumps(measure(args, video, proxy)))
        return
    for path, minutes in {video: args.minutes, short: proxy_minutes(args)}.items():
        if not path.exists() and (path == video or 'proxy' in args.kinds):
            started = time.monotonic()
            make_video(path, args.height, minutes)
            print(f'made {path} in {time.monotonic() - started:.0f} s', flush=True)
    print(f'{video}: {video.stat().st_size / 2**20:.0f} MiB', flush=True)
    if 'proxy' in args.kinds and not proxy.exists():
        make_proxy(short, proxy)
    runs: dict[str, list[list[dict]]] = {kind: [] for kind in args.kinds}
    for round_ in range(args.rounds):
        for kind, results in runs.items():
            results.append(run_workers(kind, args.workers, round_ * args.workers))
    report(runs, args.workers)


def run_workers(kind: str, num_workers: int, first_seed: int) -> list[dict]:
    """What :func:`measure` says in several processes at once, and the most memory of each."""
    from mmvidssl.apis.loading_rate import memory_with_children  # not in the processes measured

    workers, results = [], []
    for seed in range(first_seed, first_seed + num_workers):
        command = [sys.executable, __file__, *sys.argv[1:], '--kind', kind, '--seed', str(seed)]
        workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    most = [0.0] * num_workers
    while any(worker.poll() is None for worker in workers):
        started = time.perf_counter()
        now = [memory_with_children(worker.pid) or 0 for worker in workers]
        most = list(map(max, most, now))
        time.sleep(50 * (time.perf_counter() - started))  # a process asked about stands still
    for worker, mib in zip(workers, most, strict=True):
        output, _ = worker.communicate()
        if worker.returncode != 0:
            raise SystemExit(f'{kind} ended with status {worker.returncode}')
        results.append(dict(json.loads(output.splitlines()[-1]), mib=mib))
    return results


def report(runs: dict[str, list[list[dict]]], num_workers: int) -> None:
    means = {
        kind: [statistics.fmean(s for worker in run for s in worker['seconds']) for run in results]
        for kind, results in runs.items()
    }
    print(f'{num_workers} worker(s) at once')
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
            ratios = [a / b for a, b in zip(means['reopen'], means[kind], strict=True)]
            line += f', {statistics.median(ratios):.1f} times the clips of reopen'
        print(line)


if __name__ == '__main__':
    main()
