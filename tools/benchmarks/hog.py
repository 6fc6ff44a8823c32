"""Time and extra memory of HOG targets, ours against mmpretrain's, on a CPU.

Both compute all of the given frames, with the same numbers; each in processes of its own, in turn.
Of a clip ours computes only the frames that are targets; that is printed apart.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KINDS = ('ours', 'mmpretrain', 'ours, a clip')
MEASURES = dict(seconds='time', mib='extra memory')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=16, help='(default: %(default)s)')
    parser.add_argument('--size', type=int, default=224, help='(default: %(default)s)')
    parser.add_argument('--threads', type=int, nargs='+', default=[1, 2], help='(default: 1 2)')
    parser.add_argument('--gaussian-window', type=int, default=0, help='(default: %(default)s)')
    parser.add_argument(
        '--seconds', type=float, default=3, help='called for so long, the quickest call counts'
    )
    parser.add_argument('--rounds', type=int, default=3, help='runs of each (default: %(default)s)')
    parser.add_argument('--kind', choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument('--save', help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict:
    """Call one kind of HOG in this process: seconds, extra peak memory; its targets are saved."""
    import torch

    from mmvidssl.registry import MODELS

    torch.set_num_threads(args.threads[0])
    name = 'mmpretrain.HOGGenerator' if args.kind == 'mmpretrain' else 'mmvidssl.HOGGenerator'
    generator = MODELS.build(dict(type=name, gaussian_window=args.gaussian_window))
    frames = torch.randn(
        args.frames, 3, args.size, args.size, generator=torch.Generator().manual_seed(0)
    )
    if args.kind == 'ours, a clip':
        frames = frames.transpose(0, 1).unsqueeze(0).contiguous()
    generator(frames[..., :16, :16] if args.kind != 'mmpretrain' else frames[:1])
    before = reset_peak()
    target = generator(frames)
    extra = peak_memory() - before
    seconds: list[float] = []
    while sum(seconds) < args.seconds:
        started = time.perf_counter()
        generator(frames)
        seconds.append(time.perf_counter() - started)
    torch.save(target, args.save)
    return dict(seconds=min(seconds), mib=extra)


def reset_peak() -> float:
    """Forget the peak memory so far (where the kernel is Linux); MiB in use now."""
    clear_refs = Path('/proc/self/clear_refs')
    if clear_refs.exists():
        clear_refs.write_text('5')
    return peak_memory()


def peak_memory() -> float:
    """MiB."""
    status = Path('/proc/self/status')
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    (line,) = (line for line in status.read_text().splitlines() if line.startswith('VmHWM'))
    return int(line.split()[1]) / 2**10


def in_a_process_of_its_own(kind: str, threads: int, save: Path) -> dict:
    command = [sys.executable, __file__, *sys.argv[1:], '--kind', kind, '--threads', str(threads)]
    command += ['--save', str(save)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def largest_difference(folder: Path) -> float:
    import torch

    ours, theirs = (torch.load(folder / kind, weights_only=True) for kind in KINDS[:2])
    return (ours - theirs).abs().max().item()


def compare(args: argparse.Namespace, threads: int) -> None:
    """Print the runs with one number of threads."""
    runs: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            for kind in KINDS:
                runs[kind].append(in_a_process_of_its_own(kind, threads, Path(folder, kind)))
        difference = largest_difference(Path(folder))
    print(f'{args.frames} x 3 x {args.size} x {args.size}, {threads} thread(s)')
    for kind in KINDS:
        seconds, mib = (statistics.median(run[key] for run in runs[kind]) for key in MEASURES)
        print(f'  {kind:12} {1000 * seconds:7.1f} ms, {mib:6.1f} MiB more')
    for key, name in MEASURES.items():
        ratios = [a[key] / b[key] for a, b in zip(runs['ours'], runs['mmpretrain'], strict=True)]
        print(f'  {name}: ours / mmpretrain = {statistics.median(ratios):.3f}')
    print(f'  largest difference of all numbers: {difference:.1e}')


def main() -> None:
    args = parse_args()
    if args.kind:
        print(json.dumps(measure(args)))
        return
    for threads in args.threads:
        compare(args, threads)


if __name__ == '__main__':
    main()
