"""Write a backbone as TorchScript (.ts), by torch.export (.pt2) or as ONNX (.onnx).

See mmvidssl.apis.export_backbone.
"""

import argparse
import sys

from mmvidssl.apis import export_backbone, init_model
from mmvidssl.apis.features import ROLES
from mmvidssl.models.algorithms.frozen_encoder import POOLS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config of the model')
    parser.add_argument('checkpoint', help='training checkpoint, or published backbone')
    parser.add_argument('out', help='the new file, ending in .ts, .pt2 or .onnx')
    parser.add_argument(
        '--size', type=int, nargs='+', help='height and width in px, or one (default: as trained)'
    )
    parser.add_argument('--layers', type=int, nargs='+', default=[-1], help='blocks; default: last')
    parser.add_argument('--pool', choices=POOLS, help='pooling of tokens (default: as trained)')
    parser.add_argument('--role', choices=ROLES, help='backbone to take (default: teacher, if any)')
    parser.add_argument('--force', action='store_true', help='overwrite OUT')
    args = parser.parse_args()
    if args.size and len(args.size) > 2:
        parser.error(f'--size takes one or two numbers, got {args.size}')
    return args


def main() -> int:
    args = parse_args()
    size = args.size[0] if args.size and len(args.size) == 1 else args.size
    try:
        model = init_model(args.config, args.checkpoint, role=args.role)
        role = args.role if hasattr(model, 'teacher') else None
        done = export_backbone(model, args.out, size, args.layers, args.pool, role, args.force)
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{done.path}: {done.meta}; largest relative difference {done.difference:.1e}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
