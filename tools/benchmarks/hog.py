"""Time and extra memory of HOG targets, ours against mmpretrain's, on a CPU.

Both compute all given frames, with the same results. Times are taken in one process, in turn: in
each round the fastest of several calls of each kind. Memory is that of a process with one call. For
a clip ours computes only the frames that are targets; that is printed separately.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from measuring import call_again, make_parser, peak_mib, reset_peak
from torch import Tensor

from mmvidssl.registry import MODELS

KINDS = ('ours', 'mmpretrain', 'ours, a clip')


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--frames', type=int, default=16, help='frames per clip')
    parser.add_argument('--size', type=int, default=224, help='height and width in pixels')
    parser.add_argument('--threads', type=int, nargs='+', default=[1, 2], help='torch CPU threads')
    parser.add_argument('--gaussian-window', type=int, default=0, help='HOG window in px; 0: none')
    parser.add_argument('--rounds', type=int, default=20, help='times of each kind, taken in turn')
    parser.add_argument(
        '--seconds', type=float, default=1, help='seconds of calls, of which the fastest counts'
    )
    parser.add_argument('--kind', choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument('--save', help=argparse.SUPPRESS)
    return parser.parse_args()


def make_call(args: argparse.Namespace, kind: str) -> Callable[[], Tensor]:
    """A call of one kind of HOG, warmed up."""
    name = 'mmpretrain.HOGGenerator' if kind == 'mmpretrain' else 'mmvidssl.HOGGenerator'
    generator = MODELS.build(dict(type=name, gaussian_window=args.gaussian_window))
    frames = torch.randn(
        args.frames, 3, args.size, args.size, generator=torch.Generator().manual_seed(0)
    )
    if kind == 'ours, a clip':
        frames = frames.transpose(0, 1).unsqueeze(0).contiguous()
    generator(frames[..., :16, :16] if kind != 'mmpretrain' else frames[:1])
    return lambda: generator(frames)


def measure_memory(args: argparse.Namespace) -> dict:
    """Call one kind in this process; return the extra peak memory and save its targets."""
    torch.set_num_threads(args.threads[0])
    call = make_call(args, args.kind)
    reset_peak()
    before = peak_mib()
    target = call()
    extra = peak_mib() - before
    torch.save(target, args.save)
    return dict(mib=extra)


def fastest(call: Callable[[], Tensor], seconds: float) -> float:
    """Seconds of the fastest of the calls that fit into ``seconds``."""
    times: list[float] = []
    while sum(times) < seconds:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def compare(args: argparse.Namespace, threads: int) -> None:
    """Measure all kinds with one number of threads and print the comparison."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, kind) for kind in KINDS]
        mib = [
            call_again('--kind', kind, '--threads', threads, '--save', file)['mib']
            for kind, file in zip(KINDS, files, strict=True)
        ]
        ours, theirs = (torch.load(file, weights_only=True) for file in files[:2])
    torch.set_num_threads(threads)
    calls = [make_call(args, kind) for kind in KINDS]
    rounds = [[fastest(call, args.seconds) for call in calls] for _ in range(args.rounds)]
    print(f'{args.frames} x 3 x {args.size} x {args.size}, {threads} thread(s)')
    for kind, extra, times in zip(KINDS, mib, zip(*rounds, strict=True), strict=True):
        print(f'  {kind:12} {1000 * statistics.median(times):7.1f} ms, {extra:6.1f} MiB more')
    ratios = torch.tensor([theirs / ours for ours, theirs, _ in rounds])
    spread = ratios.quantile(torch.linspace(0, 1, 5)).tolist()
    print(
        '  times as fast as mmpretrain: {:.1f} at least, {:.1f}, {:.1f} and {:.1f} (quartiles), '
        '{:.1f} at most'.format(*spread)
    )
    print(f'  largest difference of all numbers: {(ours - theirs).abs().max().item():.1e}')


def main() -> None:
    args = parse_args()
    if args.kind:
        print(json.dumps(measure_memory(args)))
        return
    for threads in args.threads:
        compare(args, threads)


if __name__ == '__main__':
    main()
