"""Write features of images and videos to an .npz file, with file names and time stamps.

After a stop the same command resumes. A file that cannot be read is left out and named, at the end
and in the .npz; the exit code is then 1.
"""

import argparse
import sys

from mmengine.config import Config

from mmvidssl.apis import Sampling, init_model, write_features
from mmvidssl.apis.features import ROLES, check_npz
from mmvidssl.models.algorithms.frozen_encoder import POOLS

EXAMPLE = """example:
  python tools/extract_features.py CONFIG CHECKPOINT holiday/ --out features.npz
  python tools/extract_features.py CONFIG CHECKPOINT walk.mp4 --out walk.npz \\
      --every 0.5 --layers -4 -3 -2 -1 --pool class
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='the config of the model')
    parser.add_argument('checkpoint', help='of a training run, or a published backbone')
    parser.add_argument('sources', nargs='+', help='images, videos, or folders of them')
    parser.add_argument('--out', required=True, help='name of the new file, ending in .npz')
    parser.add_argument('--role', choices=ROLES, help='default: the teacher if there is one')
    parser.add_argument('--layers', type=int, nargs='+', default=[-1], help='numbers of blocks')
    parser.add_argument('--pool', choices=POOLS, help='default: what the model was trained for')
    default = Sampling()
    parser.add_argument(
        '--every', type=float, default=default.every, help='seconds between samples of a video'
    )
    parser.add_argument(
        '--frame-interval', type=int, default=default.frame_interval, help='within a clip'
    )
    parser.add_argument('--short-side', type=int, help='default: 8/7 of the crop (256 for 224)')
    parser.add_argument('--crop-size', type=int, help='default: what the model was built for')
    parser.add_argument('--batch-size', type=int, help='default: samples of 64 frames in all')
    parser.add_argument('--workers', type=int, default=0, help='processes that read files')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    sampling = Sampling(args.every, args.frame_interval, args.short_side, args.crop_size)
    try:
        check_npz(args.out)
        model = init_model(args.config, args.checkpoint, args.device, args.role)
        found = write_features(
            args.out,
            model,
            args.sources,
            [Config.fromfile(args.config).pretty_text, args.role],
            batch_size=args.batch_size,
            role=args.role if hasattr(model, 'teacher') else None,
            layers=args.layers,
            pool=args.pool,
            sampling=sampling,
            num_workers=args.workers,
        )
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('stopped; the same command goes on from here', file=sys.stderr)
        return 130
    print(f'{args.out}: features {tuple(found.features.shape)}')
    for name, reason in found.failed.items():
        print(f'left out: {name}: {reason}', file=sys.stderr)
    return int(bool(found.failed))


if __name__ == '__main__':
    sys.exit(main())
