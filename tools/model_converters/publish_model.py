"""Write the backbone of a training checkpoint to a file of its own; see publish_model."""

import argparse
import sys

from mmvidssl.apis import publish_model


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='what the runner saved')
    parser.add_argument('out', help='name of the new file; a hash is put before .pth')
    parser.add_argument('--source', choices=('teacher', 'student'), default='teacher')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        print(publish_model(args.checkpoint, args.out, args.source))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
