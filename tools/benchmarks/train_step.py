"""Time and peak memory of a training step, ours against the same step composed otherwise.

Forward, loss, backward, AdamW (and the teacher's update) on random input. Each kind runs in
processes of its own, in turn, on the same weights and inputs.

- dora: against a step written naively (tests/references/naive_dora.py), a frame and an object at a
  time with full attention maps.
- maskfeat: MViTv2-S against mmaction2's MViT and mmpretrain's HOG as they are
  (tests/references/peer_maskfeat.py): in float32 and in bfloat16.

Peak memory is the whole process's, libraries included. A batch of few clips leaves holes in the C
library's heap, more of them in a step that frees more; MALLOC_MMAP_THRESHOLD_=1048576 in the
environment leaves none, and shows what tensors take.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Ours and what it is compared with.
PAIRS = dict(
    dora=[('ours', 'naive')],
    maskfeat=[
        ('ours', 'peers'),
        ('ours bfloat16', 'peers bfloat16'),
    ],
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--method', choices=PAIRS, default='dora', help='(default: %(default)s)')
    parser.add_argument('--batch', type=int, default=1, help='clips (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=2, help='(default: %(default)s)')
    parser.add_argument('--steps', type=int, default=3, help='timed, after one more')
    parser.add_argument('--rounds', type=int, default=2, help='runs of each (default: %(default)s)')
    parser.add_argument('--profile', action='store_true', help='print where the time goes as well')
    dora = parser.add_argument_group('dora')
    dora.add_argument('--arch', default='deit-small', help='of the ViT (default: %(default)s)')
    dora.add_argument('--frames', type=int, default=8, help='clip_len (default: %(default)s)')
    dora.add_argument('--locals', type=int, default=6, help='local crops (default: %(default)s)')
    dora.add_argument('--prototypes', type=int, default=65536, help='(default: %(default)s)')
    parser.add_argument('--kind', help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict:
    """Run one kind of step in this process."""
    import torch

    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    from training_steps import STEPS

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    step = STEPS[args.method](args)
    before = peak_gib()
    seconds, losses = [], []
    for _ in range(args.steps + 1):
        started = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - started)
    if args.profile:
        print_profile(step)
    return dict(
        seconds=statistics.median(seconds[1:]),
        before_gib=before,
        peak_gib=peak_gib(),
        losses=losses,
    )


def peak_gib() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def print_profile(step: Callable[[], float]) -> None:
    from torch.profiler import profile

    with profile() as record:
        step()
    table = record.key_averages().table(
        sort_by='self_cpu_time_total', row_limit=15, max_name_column_width=60
    )
    print(table, file=sys.stderr)


def in_a_process_of_its_own(kind: str) -> dict:
    command = [sys.executable, __file__, *sys.argv[1:], '--kind', kind]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def print_comparison(ours: list[dict], theirs: list[dict], names: tuple[str, str]) -> None:
    for key, what in (('seconds', 'time'), ('peak_gib', 'peak memory')):
        ratio = statistics.median(a[key] / b[key] for a, b in zip(ours, theirs, strict=True))
        print(f'{what}: {names[0]} / {names[1]} = {ratio:.2f}')
    losses = zip(ours[0]['losses'], theirs[0]['losses'], strict=True)
    difference = max(abs(a - b) for a, b in losses)
    print(f'largest difference between their losses over all steps: {difference:.1e}')


def main() -> None:
    args = parse_args()
    if args.kind:
        print(json.dumps(measure(args)))
        return
    runs: dict[str, list[dict]] = {kind: [] for pair in PAIRS[args.method] for kind in pair}
    width = max(map(len, runs))
    for _ in range(args.rounds):
        for kind, results in runs.items():
            results.append(in_a_process_of_its_own(kind))
            seconds, before, peak = (results[-1][k] for k in ('seconds', 'before_gib', 'peak_gib'))
            print(
                f'{kind:{width}} {seconds:6.2f} s a step, peak {peak:.2f} GiB '
                f'({before:.2f} before the first)',
                flush=True,
            )
    for pair in PAIRS[args.method]:
        print_comparison(*(runs[kind] for kind in pair), pair)


if __name__ == '__main__':
    main()
