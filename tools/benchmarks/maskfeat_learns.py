"""Does MaskFeat learn? Pretraining, probing and few-label fine-tuning in minutes, on a CPU.

For each seed a narrow model is pretrained without labels. Printed are its loss in masked tokens
beside that of a constant, and accuracies beside those of the random weights that it started from.
By default it does so on synthetic clips that it draws (a shape that moves over clutter, 16
classes); with --images on labelled pictures. See docs/en/reference/maskfeat_learns.md.
"""

import sys
from pathlib import Path

from measuring import make_parser
from mmengine.config import DictAction


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument(
        '--images',
        help='.npz file with images (N, H, W, 3) uint8 and labels (N,); 32 pixels, if no '
        '--cfg-options say otherwise',
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='a run for each')
    parser.add_argument('--threads', type=int, default=2, help='of torch')
    parser.add_argument('--work-dir', type=Path, default='work_dirs/maskfeat_learns', help='logs')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='changes to the config, such as max_iters=500',
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
