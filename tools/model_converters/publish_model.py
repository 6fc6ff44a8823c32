"""Write the backbone of a training checkpoint to a new file; see mmvidssl.apis.publish_model."""

import argparse
import sys

from mmvidssl.apis import publish_model
from mmvidssl.engine.checkpoint import read_plain


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='what the runner saved, or a converter wrote')
    parser.add_argument('out', help='name of the new file; a hash is put before .pth')
    parser.add_argument('--role', choices=('teacher', 'student'), default='teacher')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        published = publish_model(args.checkpoint, args.out, args.role)
        role = read_plain(str(published))['meta']['role']
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if role != args.role:
        note = f'{args.checkpoint} holds no {args.role}: its only {role} is published'
        print(note, file=sys.stderr)
    print(published)
    return 0


if __name__ == '__main__':
    sys.exit(main())
