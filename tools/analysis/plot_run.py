"""Draw the curves of runs: loss, entropy, health, times, learning rate, momentum, evaluations."""

import argparse
import sys
from pathlib import Path

from mmvidssl.visualization import plot_runs, read_run

EXAMPLE = """example:
  python tools/analysis/plot_run.py work_dirs/first work_dirs/second --out runs.png
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work directory of a run')
    parser.add_argument('--out', required=True, help='new picture file: .png, .pdf, .svg, ...')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        names = [Path(folder).resolve().name for folder in args.work_dirs]
        names = names if len(set(names)) == len(names) else args.work_dirs
        plot_runs(args.out, dict(zip(names, map(read_run, args.work_dirs), strict=True)))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
