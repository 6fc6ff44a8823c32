"""Write one HTML file that tells whether runs are good: verdict, curves, pictures, settings."""

import argparse
import sys

from mmvidssl.apis.report import read_checkpoint, read_runs, write_report

EXAMPLE = """example:
  python tools/visualization/report.py work_dirs/mine --video walk.mp4 --out report.html
  python tools/visualization/report.py CONFIG CHECKPOINT --video walk.mp4 --out report.html
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'run',
        nargs='+',
        metavar='WORK_DIR | CONFIG CHECKPOINT',
        help='a run, or a folder of at most 4; or a checkpoint',
    )
    parser.add_argument('--video', nargs='+', default=[], metavar='FILE', help='drawn (at most 4)')
    parser.add_argument('--out', required=True, help='name of the new file, ending in .html')
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    if len(args.run) > 2:
        parser.error(f'WORK_DIR, or CONFIG and CHECKPOINT are expected, got {" ".join(args.run)}')
    return args


def main() -> int:
    args = parse_args()
    try:
        runs = read_runs(*args.run) if len(args.run) == 1 else [read_checkpoint(*args.run)]
        write_report(args.out, runs, args.video, args.device)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
