"""Time and extra memory of label propagation, ours against the dense affinity of all tokens.

Features are noise around a still scene; each kind runs in processes of its own, in turn. Also timed
are the matrix products of our tiles alone, and a whole sequence with the ViT's forward passes.
Waiting threads sleep, so that other work on the machine slows all kinds down alike.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import call_again, make_parser, median_ratio, peak_mib, reset_peak

from mmvidssl.evaluation import propagate_labels
from mmvidssl.evaluation.functional import label_propagation
from mmvidssl.registry import MODELS
from tests.references import dense_propagation

KINDS = ('ours', 'dense', 'products', 'forward')
CLOCKS = ('wall', 'cpu')
RADIUS, CONTEXT, TOPK, TEMPERATURE = 12, 7, 5, 0.1


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--patch-sizes', type=int, nargs='+', default=[16, 8], help='of the ViT')
    parser.add_argument('--size', type=int, nargs=2, default=[480, 832], help='of a frame')
    parser.add_argument('--frames', type=int, default=16, help='of a sequence')
    parser.add_argument('--dims', type=int, default=384, help='of a feature')
    parser.add_argument('--threads', type=int, default=2, help='of torch')
    parser.add_argument('--rounds', type=int, default=3, help='runs of each')
    parser.add_argument('--forward', type=int, default=2, help='frames through the ViT')
    parser.add_argument('--kind', choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument('--save', help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict:
    """Run one kind in this process; return seconds and extra peak memory, save its labels."""
    torch.set_num_threads(args.threads)
    h, w = (side // args.patch_sizes[-1] for side in args.size)
    generator = torch.Generator().manual_seed(0)
    scene = torch.randn(h * w, args.dims, generator=generator)
    features = torch.randn(args.frames, h * w, args.dims, generator=generator).mul_(0.7).add_(scene)
    labels = torch.zeros(3, h, w)
    labels[0], labels[1, : h // 2], labels[2, h // 3 :, : w // 3] = 0.1, 1, 2
    labels = torch.nn.functional.one_hot(labels.argmax(dim=0), 3).permute(2, 0, 1).float()
    options = (CONTEXT, RADIUS, TOPK, TEMPERATURE)
    torch.bmm(features[:1, :64], features[:1, :64].transpose(1, 2))
    reset_peak()
    before, started = peak_mib(), now()
    if args.kind == 'products':
        return dict(zip(CLOCKS, multiply(features, h, w), strict=True), mib=0)
    if args.kind == 'forward':
        return dict(zip(CLOCKS, forward(args), strict=True), mib=0)
    kinds = dict(ours=propagate_labels, dense=dense_propagation.propagate_labels)
    out = kinds[args.kind](features, labels, *options)
    took = now() - started
    extra = peak_mib() - before
    torch.save(out, args.save)
    return dict(zip(CLOCKS, took.tolist(), strict=True), mib=extra)


def now() -> np.ndarray:
    """Wall-clock seconds, and CPU seconds of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def multiply(features: torch.Tensor, h: int, w: int) -> list[float]:
    """Wall and CPU seconds of the matrix products of our tiles alone, on random numbers."""
    seconds = np.zeros(2)
    for columns in label_propagation._cut(w):
        for rows in label_propagation._cut(h):
            tile = label_propagation._make_tile(rows, columns, (h, w), RADIUS, features.device)
            num_queries, num_keys = tile.is_far.shape
            keys = torch.randn(1 + CONTEXT, num_keys, features.shape[2])
            queries = torch.randn(num_queries, features.shape[2])
            for num_frames in range(1, len(features)):
                some = keys[: min(num_frames, len(keys))]
                started = now()
                torch.bmm(queries.expand(len(some), -1, -1), some.transpose(1, 2))
                seconds += now() - started
    return seconds.tolist()


def forward(args: argparse.Namespace) -> list[float]:
    """Wall and CPU seconds of a ViT-S on a whole sequence, extrapolated from a few frames."""
    vit = MODELS.build(
        dict(type='DINOViT', arch='deit-small', img_size=224, patch_size=args.patch_sizes[-1])
    )
    with torch.no_grad():
        vit.eval()(torch.randn(1, 3, *args.size))
        started = now()
        for _ in range(args.forward):
            vit(torch.randn(1, 3, *args.size))
    return ((now() - started) * args.frames / args.forward).tolist()


def compare(args: argparse.Namespace, patch_size: int) -> None:
    """Run all kinds with one patch size and print the comparison."""
    runs: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: Path(folder, kind) for kind in KINDS}
        for _ in range(args.rounds):
            for kind, file in files.items():
                options = ('--kind', kind, '--patch-sizes', patch_size, '--save', file)
                runs[kind].append(call_again(*options))
        ours, dense = (torch.load(files[kind], weights_only=True) for kind in KINDS[:2])
    grid = [side // patch_size for side in args.size]
    print(f'patches of {patch_size}: {args.frames} frames of {grid} tokens, {args.threads} threads')
    median = {
        kind: {key: statistics.median(run[key] for run in runs[kind]) for key in runs[kind][0]}
        for kind in KINDS
    }
    for kind, values in median.items():
        extra = f', {values["mib"]:7.1f} MiB more' if values['mib'] else ''
        print(f'  {kind:8} {values["wall"]:7.2f} s, {values["cpu"]:7.2f} s of processors{extra}')
    for clock in CLOCKS:
        seconds = {kind: [run[clock] for run in runs[kind]] for kind in KINDS}
        print(
            f'  {clock}: {median_ratio(seconds["dense"], seconds["ours"]):.1f} times as fast; the '
            f'products are {median_ratio(seconds["products"], seconds["ours"]):.2f} of it'
        )
    print(f'  share of the memory: {median["ours"]["mib"] / median["dense"]["mib"]:.3f}')
    same = (ours.argmax(dim=1) == dense.argmax(dim=1)).float().mean().item()
    largest = (ours - dense).abs().max().item()
    print(f'  same labels: {same:.6f} of the tokens, largest difference {largest:.1e}')
    whole = median['ours']['wall'] + median['forward']['wall']
    print(f'  a whole sequence, with the forward passes: {whole:.1f} s')


def main() -> None:
    args = parse_args()
    if args.kind:
        print(json.dumps(measure(args)))
        return
    os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
    for patch_size in args.patch_sizes:
        compare(args, patch_size)


if __name__ == '__main__':
    main()
