"""Time and peak memory of a training step, ours against another implementation of the same step.

Forward, loss, backward, AdamW (and the teacher's update) on random input. Each kind runs in
processes of its own, in turn, on the same weights and inputs.

- dora: against the released DoRA, a checkout of which is given by --peer; without one, against a
  step written naively (tests/references/naive_dora.py), a frame and an object at a time.
- maskfeat: MViTv2-S against the released PySlowFast (--peer); without one, against mmaction2's MViT
  and mmpretrain's HOG as they are (tests/references/peer_maskfeat.py). In float32 and bfloat16.

Ours also runs with with_cp='cheap' and with_cp=True of the backbone. Memory is what the steps add
to what the process holds before the first. With a batch of few clips it includes holes in the C
library's heap, more of them if a step frees more; MALLOC_MMAP_THRESHOLD_=1048576 in the environment
avoids them, and shows what tensors take.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

from measuring import call_again, make_parser, median_ratio, peak_mib, reset_peak

# Operators whose work is given by the model: products, attention and convolution.
PRODUCTS = ('mm', 'addmm', 'bmm', 'baddbmm', 'dot', 'linear', 'scaled_dot', 'convolution', 'mkldnn')


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--method', choices=('dora', 'maskfeat'), default='dora')
    parser.add_argument('--peer', help='checkout of the released DoRA, or PySlowFast')
    parser.add_argument('--batch', type=int, default=1, help='clips per batch')
    parser.add_argument('--threads', type=int, default=2, help='CPU threads of torch')
    parser.add_argument('--steps', type=int, default=3, help='steps timed, after a warm-up step')
    parser.add_argument('--rounds', type=int, default=2, help='runs of each kind, taken in turn')
    parser.add_argument('--profile', action='store_true', help='also print a profile of one step')
    dora = parser.add_argument_group('dora')
    dora.add_argument('--arch', default='deit-small', help='ViT: deit-tiny, deit-small, deit-base')
    dora.add_argument('--frames', type=int, default=8, help='frames per clip')
    dora.add_argument('--locals', type=int, default=6, help='local crops per clip')
    dora.add_argument('--prototypes', type=int, default=65536, help='prototypes of a DINO head')
    parser.add_argument('--kind', help=argparse.SUPPRESS)
    return parser.parse_args()


def kinds_by_peer(args: argparse.Namespace) -> dict[str, list[str]]:
    """The peers' kinds of steps, each with those of ours that are compared with it."""
    peer = 'released' if args.peer else 'naive' if args.method == 'dora' else 'composed'
    precisions = ('', ' bfloat16') if args.method == 'maskfeat' else ('',)
    return {
        peer + precision: [f'ours{precision}{cp}' for cp in ('', ', cheap', ', with_cp')]
        for precision in precisions
    }


def measure(args: argparse.Namespace) -> dict:
    """Run one kind of step in this process; return seconds, memory, losses and shares."""
    import torch
    from training_steps import STEPS

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    step = STEPS[args.method](args)
    reset_peak()
    before = peak_mib()
    seconds, losses = [], []
    for _ in range(args.steps + 1):
        started = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - started)
    return dict(
        seconds=statistics.median(seconds[1:]),
        before=before / 2**10,
        added=(peak_mib() - before) / 2**10,
        losses=losses,
        **profile(step, args.profile),
    )


def profile(step: Callable[[], float], with_table: bool) -> dict:
    """Share of a step's processor time that is products, attention and convolution."""
    import torch

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as record:
        step()
    events = record.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    work = sum(
        event.self_cpu_time_total
        for event in events
        if event.key.partition('::')[2].lstrip('_').startswith(PRODUCTS)
    )
    table = events.table(sort_by='self_cpu_time_total', row_limit=15, max_name_column_width=60)
    return dict(share=work / total, table=table if with_table else '')


def main() -> None:
    args = parse_args()
    if args.kind:
        print(json.dumps(measure(args)))
        return
    pairs = kinds_by_peer(args)
    runs: dict[str, list[dict]] = {
        kind: [] for peer, ours in pairs.items() for kind in (peer, *ours)
    }
    width = max(map(len, runs))
    for _ in range(args.rounds):
        for kind, results in runs.items():
            run = call_again('--kind', kind)
            results.append(run)
            print(
                f'{kind:{width}} {run["seconds"]:6.2f} s a step, {run["added"]:.2f} GiB added to '
                f'{run["before"]:.2f}; {run["share"]:.0%} products, attention and convolution',
                flush=True,
            )
            print(run['table'], end='')
    for peer, ours in pairs.items():
        for kind in ours:
            time_ratio, memory_ratio = (
                median_ratio(*([run[key] for run in runs[k]] for k in (kind, peer)))
                for key in ('seconds', 'added')
            )
            losses = zip(runs[kind][0]['losses'], runs[peer][0]['losses'], strict=True)
            difference = max(abs(a - b) for a, b in losses)
            print(
                f'{kind} / {peer}: time {time_ratio:.2f}, memory added {memory_ratio:.2f}; losses '
                f'differ by {difference:.1e} at most'
            )


if __name__ == '__main__':
    main()
