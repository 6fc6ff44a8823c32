"""Convert a checkpoint of DoRA, DINO, iBOT or DINOv2; see mmvidssl.apis.convert_checkpoint."""

import argparse
import sys

from mmvidssl.apis import convert_checkpoint


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='what the released code saved, or a released backbone')
    parser.add_argument('dst', help='name of the new file')
    parser.add_argument('--force', action='store_true', help='overwrite DST')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        done = convert_checkpoint(args.src, args.dst, args.force)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{done.path}: {" and ".join(done.roles) or "a backbone"}, {done.arch}')
    for name, reason in done.dropped.items():
        print(f'not converted: {name} ({reason})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
