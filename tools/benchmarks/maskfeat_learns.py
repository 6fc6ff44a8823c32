"""Does MaskFeat learn? Pretraining, probing and few-label fine-tuning in minutes, on a CPU.

For each seed a narrow model is pretrained without labels. Prints its loss on masked tokens beside
that of a constant prediction, and accuracies beside those of its random initial weights. The data
are synthetic clips (a shape that moves over clutter, 16 classes) or, with --images, labelled
pictures. See docs/en/reference/maskfeat_learns.md.
"""

import sys
from pathlib import Path

from measuring import make_parser
from mmengine.config import DictAction


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument(
        '--images',
        help='.npz file with images (N, H, W, 3) uint8 and labels (N,), of 32 x 32 '
        'pixels unless --cfg-options change it; None: synthetic clips',
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='one run per seed')
    parser.add_argument('--threads', type=int, default=2, help='CPU threads of torch')
    parser.add_argument(
        '--work-dir', type=Path, default='work_dirs/maskfeat_learns', help='logs and numbers.json'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='changes to the config, KEY=VALUE, such as max_iters=500',
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    from projects.maskfeat_learns.run import run  # not for --help

    try:
        run(args.images, args.seeds, args.threads, args.work_dir, args.cfg_options)
    except (OSError, ValueError) as error:
        print(f'tools/benchmarks/maskfeat_learns.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
