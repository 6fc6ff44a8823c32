"""What training does on one GPU: is it right, how fast is it, and do data keep up?

In at most --minutes it prints its sections and saves them as JSON, after each one:

- card: name, memory, versions, and the rate of a large matrix product in each precision;
- parity: loss and gradients of a step in float32 against the CPU's;
- precision: losses of some steps in each precision, and their distance to float32;
- hog, masks, roi_align: against the CPU, and their time;
- speed: a step of each config's batch (halved until it fits): time, memory, share of the matrix
  rate (of operations as they are executed, recomputed ones too), what takes long, what waits;
- data: what one loader process gives, and how many such steps need;
- compile: the same steps with torch.compile, or why it does not compile.

A section that fails has its error in its place; the others run in a new process, since it may have
left the device unusable. The exit status is then 1, but for compile.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
from measuring import ROOT, make_parser

from mmvidssl.utils.atomic_file import atomic_path

# Of the functions in gpu_sections.py, in order.
NAMES = ('card', 'parity', 'precision', 'hog', 'masks', 'roi_align', 'speed', 'data', 'compile')
CONFIGS = (
    'dora/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py',
    'maskfeat/maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py',
)
SMALL = (
    'dora/dora_vit-nano-p8_1xb8-coslr-1300i_quickstart.py',
    'maskfeat/maskfeat_mvit-nano_1xb8-coslr-1200i_quickstart.py',
)


def parse_args() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('--device', default='cuda', help='cuda (CUDA_VISIBLE_DEVICES chooses), cpu')
    parser.add_argument(
        '--small', action='store_true', help='the quickstart, and few steps: a test'
    )
    parser.add_argument('--out', type=Path, default='gpu.json', help='file of the figures')
    parser.add_argument('--minutes', type=float, default=5, help='end after so many minutes')
    parser.add_argument(
        '--sections',
        nargs='+',
        choices=NAMES,
        default=NAMES,
        metavar='NAME',
        help='sections to run',
    )
    parser.add_argument(
        '--configs', nargs='+', metavar='CONFIG', help='configs that pretrain on videos'
    )
    parser.add_argument('--backend', default='inductor', help='of torch.compile')
    parser.add_argument('--here', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    names = SMALL if args.small else CONFIGS
    args.configs = args.configs or [str(ROOT / 'configs' / name) for name in names]
    return args


def main() -> int:
    args = parse_args()
    if args.here:
        run_here(args)
        return 0
    if torch.device(args.device).type == 'cuda' and not torch.cuda.is_available():
        sys.exit('PyTorch finds no GPU here; --device cpu --small tries this command without one')
    report: dict = {}
    for name, result in results(args):
        report[name] = result
        add_workers(report)
        print(json.dumps({name: result}, indent=2), flush=True)
        with atomic_path(args.out) as path:
            path.write_text(json.dumps(report, indent=2))
    failed = [name for name, result in report.items() if isinstance(result, str)]
    print(f'saved as {args.out}' + (f'; failed: {", ".join(failed)}' if failed else ''))
    return int(failed not in ([], ['compile']))  # training does not need a compiler


def results(args: argparse.Namespace) -> Iterator[tuple[str, dict | str]]:
    """Each section and its figures, or its error; a process runs sections until one fails."""
    deadline = time.monotonic() + 60 * args.minutes
    left = list(args.sections)
    while left:
        if time.monotonic() > deadline:
            yield left.pop(0), f'not begun within {args.minutes:g} minutes'
            continue
        command = [sys.executable, *sys.argv, '--here', '--sections', *left]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            timer = threading.Timer(deadline - time.monotonic(), process.kill)
            timer.start()
            last: dict | str = {}
            for line in process.stdout or ():
                last = json.loads(line)
                yield left.pop(0), last
        timer.cancel()
        if left and isinstance(last, dict):  # it did not end by itself, after an error
            is_late = time.monotonic() > deadline
            reason = f'not done within {args.minutes:g} minutes' if is_late else 'the process died'
            yield left.pop(0), f'{reason} (exit status {process.returncode})'


def run_here(args: argparse.Namespace) -> None:
    """Print a line for each section, up to the first that fails."""
    lines = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # libraries and processes of their own print as well
    for name in args.sections:
        try:
            import gpu_sections

            line, is_error = json.dumps(getattr(gpu_sections, name)(args), allow_nan=False), False
        except Exception as error:  # whatever it is, it belongs into the report
            traceback.print_exc()
            line, is_error = json.dumps(f'{type(error).__name__}: {error}'), True
        print(line, file=lines, flush=True)
        if is_error:
            return


def add_workers(report: dict) -> None:
    """Add to the data's figures the number of workers that keep the measured steps fed."""
    speed, data = report.get('speed'), report.get('data')
    if isinstance(speed, dict) and isinstance(data, dict):
        for name, loaded in data.items():
            for dtype, step in speed[name].items():
                share = step['clips_per_second'] / loaded['clips_per_second_and_worker']
                loaded[f'workers_for_{dtype}'] = math.ceil(share)


if __name__ == '__main__':
    sys.exit(main())
