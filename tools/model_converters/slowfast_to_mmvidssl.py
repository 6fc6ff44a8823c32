"""Convert a checkpoint of MaskFeat from PySlowFast; see mmvidssl.apis.convert_slowfast."""

import argparse
import sys

from mmvidssl.apis import convert_slowfast


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='checkpoint that PySlowFast saved, or released backbone')
    parser.add_argument('dst', help='name of the new file')
    parser.add_argument('--force', action='store_true', help='overwrite DST')
    args = parser.parse_args()
    try:
        done = convert_slowfast(args.src, args.dst, args.force)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{done.path}: {done.kind}, {done.arch}')
    print(f'not converted: {", ".join(done.dropped) or "nothing"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
