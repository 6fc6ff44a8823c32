"""Write one HTML file that tells whether runs are good: verdict, curves, pictures, settings."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmvidssl.apis.report import Run, read_checkpoint, read_runs, write_report

EXAMPLE = """example:
  python tools/visualization/report.py work_dirs/mine --video walk.mp4 --out report.html
  python tools/visualization/report.py work_dirs/first work_dirs/second --out report.html
  python tools/visualization/report.py CONFIG CHECKPOINT --video walk.mp4 --out report.html
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'run',
        nargs='+',
        metavar='WORK_DIR... | CONFIG CHECKPOINT',
        help='work directories of up to 4 runs, or folders of them; or a config and a checkpoint',
    )
    parser.add_argument(
        '--video', nargs='+', default=[], metavar='FILE', help='up to 4 videos for the pictures'
    )
    parser.add_argument('--out', required=True, help='name of the new file, ending in .html')
    parser.add_argument('--device', default='cpu', help='torch device, such as cuda (default: cpu)')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        write_report(args.out, read(args.run), args.video, args.device)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(args.out)
    return 0


def read(paths: Sequence[str]) -> list[Run]:
    """Runs in folders, with the folder in their names if two are the same; or a checkpoint."""
    others = [path for path in paths if not Path(path).is_dir()]
    if len(others) == len(paths) == 2:
        return [read_checkpoint(*paths)]
    if others:
        raise ValueError(
            'give folders of runs, or a config and a checkpoint; no such folder: '
            + ', '.join(others)
        )
    found = [(folder, run) for folder in paths for run in read_runs(folder)]
    if len({run.name for _, run in found}) < len(found):
        for folder, run in found:
            run.name = f'{folder}: {run.name}'
    return [run for _, run in found]


if __name__ == '__main__':
    sys.exit(main())
