"""Time and extra memory of HOG targets, ours against mmpretrain's, on a CPU.

Both compute all given frames, with the same results, each in processes of its own, in turn. For a
clip ours computes only the frames that are targets; that is printed separately.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from measuring import call_again, make_parser, median_ratio, peak_mib, reset_peak

from mmvidssl.registry import MODELS

KINDS = ('ours', 'mmpretrain', 'ours, a clip')
MEASURES = dict(seconds='time', mib='extra memory')


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--frames', type=int, default=16, help='of a clip')
    parser.add_argument('--size', type=int, default=224, help='of a frame')
    parser.add_argument('--threads', type=int, nargs='+', default=[1, 2], help='of torch')
    parser.add_argument('--gaussian-window', type=int, default=0, help='of HOG')
    parser.add_argument(
        '--seconds', type=float, default=3, help='called for so long, the quickest call counts'
    )
    parser.add_argument('--rounds', type=int, default=3, help='runs of each')
    parser.add_argument('--kind', choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument('--save', help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict:
    """Run one kind of HOG in this process; return seconds, extra peak memory; save its targets."""
    torch.set_num_threads(args.threads[0])
    name = 'mmpretrain.HOGGenerator' if args.kind == 'mmpretrain' else 'mmvidssl.HOGGenerator'
    generator = MODELS.build(dict(type=name, gaussian_window=args.gaussian_window))
    frames = torch.randn(
        args.frames, 3, args.size, args.size, generator=torch.Generator().manual_seed(0)
    )
    if args.kind == 'ours, a clip':
        frames = frames.transpose(0, 1).unsqueeze(0).contiguous()
    generator(frames[..., :16, :16] if args.kind != 'mmpretrain' else frames[:1])
    reset_peak()
    before = peak_mib()
    target = generator(frames)
    extra = peak_mib() - before
    seconds: list[float] = []
    while sum(seconds) < args.seconds:
        started = time.perf_counter()
        generator(frames)
        seconds.append(time.perf_counter() - started)
    torch.save(target, args.save)
    return dict(seconds=min(seconds), mib=extra)


def compare(args: argparse.Namespace, threads: int) -> None:
    """Run all kinds with one number of threads and print the comparison."""
    runs: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: Path(folder, kind) for kind in KINDS}
        for _ in range(args.rounds):
            for kind, file in files.items():
                runs[kind].append(call_again('--kind', kind, '--threads', threads, '--save', file))
        ours, theirs = (torch.load(files[kind], weights_only=True) for kind in KINDS[:2])
    print(f'{args.frames} x 3 x {args.size} x {args.size}, {threads} thread(s)')
    for kind in KINDS:
        seconds, mib = (statistics.median(run[key] for run in runs[kind]) for key in MEASURES)
        print(f'  {kind:12} {1000 * seconds:7.1f} ms, {mib:6.1f} MiB more')
    for key, name in MEASURES.items():
        ratio = median_ratio(*([run[key] for run in runs[kind]] for kind in KINDS[:2]))
        print(f'  {name}: ours / mmpretrain = {ratio:.3f}')
    print(f'  largest difference of all numbers: {(ours - theirs).abs().max().item():.1e}')


def main() -> None:
    args = parse_args()
    if args.kind:
        print(json.dumps(measure(args)))
        return
    for threads in args.threads:
        compare(args, threads)


if __name__ == '__main__':
    main()
