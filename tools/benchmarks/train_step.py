"""Time and peak memory of a DoRA training step, ours against one written naively.

Forward, loss, backward, AdamW and the teacher's update, on random views of one clip; the naive step
(``tests/references/naive_dora.py``) goes a frame and an object at a time with full attention maps.
Both run in processes of their own, in turn, on the same weights and inputs.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = ('ours', 'naive')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--arch', default='deit-small', help='of the ViT (default: %(default)s)')
    parser.add_argument('--frames', type=int, default=8, help='clip_len (default: %(default)s)')
    parser.add_argument('--locals', type=int, default=6, help='local crops (default: %(default)s)')
    parser.add_argument('--prototypes', type=int, default=65536, help='(default: %(default)s)')
    parser.add_argument('--batch', type=int, default=1, help='clips (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=2, help='(default: %(default)s)')
    parser.add_argument('--steps', type=int, default=3, help='timed, after one more')
    parser.add_argument('--rounds', type=int, default=2, help='runs of each (default: %(default)s)')
    parser.add_argument('--kind', choices=KINDS, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict:
    """Run one kind of step in this process."""
    import torch

    sys.path.insert(0, str(ROOT))
    from mmvidssl.registry import MODELS
    from tests.references import naive_dora

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = MODELS.build(model_cfg(args)).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    shape = (args.batch, 3, args.frames)
    clip = torch.randn(*shape, 224, 224)
    local_clips = [torch.randn(*shape, 112, 112) for _ in range(args.locals)]
    seconds, losses = [], []
    for _ in range(args.steps + 1):
        started = time.perf_counter()
        if args.kind == 'ours':
            loss = sum(model.loss(dict(global_clip=clip, local_clips=local_clips)).values())
        else:
            loss = naive_dora.loss(model, clip, local_clips)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.update_teacher(0.004)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return dict(seconds=statistics.median(seconds[1:]), peak_gib=peak, losses=losses)


def model_cfg(args: argparse.Namespace) -> dict:
    dims = {'deit-tiny': 192, 'deit-small': 384, 'deit-base': 768}[args.arch]
    return dict(
        type='mmvidssl.DoRA',
        preset='paper',
        backbone=dict(type='mmvidssl.DINOViT', arch=args.arch, img_size=224, patch_size=16),
        neck=dict(type='mmvidssl.DINONeck', in_channels=dims, num_prototypes=args.prototypes),
        tracker=dict(type='mmvidssl.MultiObjectTracker', num_objects=3, heads=(0, 1, 2)),
        target_generator=dict(
            type='mmvidssl.DistillationTargetGenerator', num_prototypes=args.prototypes
        ),
        head=dict(type='mmvidssl.DoRAHead', loss=dict(type='mmvidssl.DINOLoss')),
    )


def in_a_process_of_its_own(kind: str) -> dict:
    command = [sys.executable, __file__, *sys.argv[1:], '--kind', kind]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    args = parse_args()
    if args.kind:
        print(json.dumps(measure(args)))
        return
    runs: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    for _ in range(args.rounds):
        for kind in KINDS:
            runs[kind].append(in_a_process_of_its_own(kind))
            last = runs[kind][-1]
            print(f'{kind:5} {last["seconds"]:6.2f} s a step, peak {last["peak_gib"]:.2f} GiB')
    difference = max(
        abs(a - b)
        for a, b in zip(runs['ours'][0]['losses'], runs['naive'][0]['losses'], strict=True)
    )
    for key, name in (('seconds', 'time'), ('peak_gib', 'peak memory')):
        ratios = [a[key] / b[key] for a, b in zip(runs['ours'], runs['naive'], strict=True)]
        print(f'{name}: ours / naive = {statistics.median(ratios):.2f}')
    print(f'largest difference between their losses over {args.steps + 1} steps: {difference:.1e}')


if __name__ == '__main__':
    main()
