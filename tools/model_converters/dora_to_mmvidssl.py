"""Convert a checkpoint of DoRA, DINO, iBOT or DINOv2; see mmvidssl.apis.convert_checkpoint."""

import argparse
import sys

from mmvidssl.apis import convert_checkpoint


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='checkpoint that the original code saved, or released backbone')
    parser.add_argument('dst', help='name of the new file')
    parser.add_argument('--force', action='store_true', help='overwrite DST')
    args = parser.parse_args()
    try:
        done = convert_checkpoint(args.src, args.dst, args.force)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{done.path}: {done.kind}, {done.arch}')
    print(f'not converted: {", ".join(done.dropped) or "nothing"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
