"""List the videos of a folder with one sub-folder per class, for pre-training and fine-tuning."""

import argparse
import sys

from mmvidssl.apis import list_videos

EXAMPLES = """examples:
  python tools/datasets/list_videos.py data/my_videos data/my_videos
  python tools/datasets/list_videos.py VIDEOS LISTS --val-share 0.1 --seed 3

writes train.txt, val.txt (a path relative to FOLDER and its label a line) and classes.txt
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', help='the videos, in one sub-folder per class')
    parser.add_argument('out', help='output folder of the lists, created if missing')
    parser.add_argument(
        '--val-share', type=float, default=0.2, help='share of each class in val.txt (default: 0.2)'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the random split (default: 0)')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        lists = list_videos(args.folder, args.out, args.val_share, args.seed)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f'{len(lists.classes)} classes, {lists.num_train} videos for training and {lists.num_val} '
        f'for validation: see {args.out}'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
