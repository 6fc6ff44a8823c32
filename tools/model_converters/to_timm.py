"""Export a ViT for timm; see mmvidssl.apis.export_to_timm."""

import argparse
import sys

from mmvidssl.apis import export_to_timm, init_model
from mmvidssl.apis.features import ROLES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config of the model')
    parser.add_argument('checkpoint', help='of a training run, or a published backbone')
    parser.add_argument('out', help='the new file, ending in .pth or .safetensors')
    parser.add_argument('--role', choices=ROLES, help='default: the teacher if there is one')
    parser.add_argument('--force', action='store_true', help='overwrite OUT')
    args = parser.parse_args()
    try:
        model = init_model(args.config, args.checkpoint, role=args.role)
        role = args.role if hasattr(model, 'teacher') else None
        done = export_to_timm(model, args.out, role, args.force)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{done.path}; load it with\n\n{done.usage}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
