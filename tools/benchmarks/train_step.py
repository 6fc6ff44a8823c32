"""Time and peak memory of a training step, ours against another implementation of the same step.

Forward, loss, backward, AdamW (and the teacher's update) on random input. Each kind runs in
processes of its own, in turn, on the same weights and inputs.

- dora: against a step written naively (tests/references/naive_dora.py), a frame and an object at a
  time with full attention maps.
- maskfeat: MViTv2-S against mmaction2's MViT and mmpretrain's HOG as they are
  (tests/references/peer_maskfeat.py): in float32 and in bfloat16.

Peak memory is the whole process's, libraries included. With a batch of few clips it includes holes
in the C library's heap, more of them if a step frees more; MALLOC_MMAP_THRESHOLD_=1048576 in the
environment avoids them, and shows what tensors take.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

from measuring import call_again, make_parser, median_ratio, peak_mib

# Ours and what it is compared with.
PAIRS = dict(
    dora=[('ours', 'naive')],
    maskfeat=[
        ('ours', 'peers'),
        ('ours bfloat16', 'peers bfloat16'),
    ],
)


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--method', choices=PAIRS, default='dora', help='what is trained')
    parser.add_argument('--batch', type=int, default=1, help='clips')
    parser.add_argument('--threads', type=int, default=2, help='of torch')
    parser.add_argument('--steps', type=int, default=3, help='timed, after one more')
    parser.add_argument('--rounds', type=int, default=2, help='runs of each')
    parser.add_argument('--profile', action='store_true', help='print where the time goes as well')
    dora = parser.add_argument_group('dora')
    dora.add_argument('--arch', default='deit-small', help='of the ViT')
    dora.add_argument('--frames', type=int, default=8, help='clip_len')
    dora.add_argument('--locals', type=int, default=6, help='local crops')
    dora.add_argument('--prototypes', type=int, default=65536, help='of a head')
    parser.add_argument('--kind', help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict:
    """Run one kind of step in this process; return seconds, memory and losses."""
    import torch
    from training_steps import STEPS

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    step = STEPS[args.method](args)
    before = peak_mib()
    seconds, losses = [], []
    for _ in range(args.steps + 1):
        started = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - started)
    if args.profile:
        print_profile(step)
    return dict(
        seconds=statistics.median(seconds[1:]),
        before_gib=before / 2**10,
        peak_gib=peak_mib() / 2**10,
        losses=losses,
    )


def print_profile(step: Callable[[], float]) -> None:
    from torch.profiler import profile

    with profile() as record:
        step()
    table = record.key_averages().table(
        sort_by='self_cpu_time_total', row_limit=15, max_name_column_width=60
    )
    print(table, file=sys.stderr)


def print_comparison(ours: list[dict], theirs: list[dict], names: tuple[str, str]) -> None:
    for key, what in (('seconds', 'time'), ('peak_gib', 'peak memory')):
        ratio = median_ratio(*([run[key] for run in runs] for runs in (ours, theirs)))
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
            results.append(call_again('--kind', kind))
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
