"""Prepare videos for training: a few small frames a second, packed into one file per video."""

import argparse
import sys

from mmvidssl.apis import ProxySettings, make_proxies, verify_proxies

EXAMPLES = """examples:
  python tools/datasets/make_proxy.py data/walking_tours/*.mp4 --out data/walking_tours_proxy
  python tools/datasets/make_proxy.py a.mp4 videos/ --short-side 360 --fps 8 --out proxies
  python tools/datasets/make_proxy.py --verify proxies/*.frames

An interrupted or killed run goes on where it was when the same command is given again. Data sets
take the .frames files in place of the videos.

An hour of 4K video at 60 frames a second takes about 0.55 h on two cores, whatever the size of the
proxy, and at 4 frames a second (JPEG of ffmpeg's -q:v 3; noisy synthetic video, so real ones are
likely smaller):

  --short-side   MB per hour   a clip of 8 frames, one core   for
  720            2970          27 ms                          the paper's crops (671 or more)
  480            1490          13 ms                          crops somewhat enlarged
  360            920           8 ms                           trying things out
  directly       -             4.8 to 13 s                    -
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('videos', nargs='+', metavar='VIDEO', help='videos, or folders searched with all below')
    add('--out', help='folder of the proxies, NAME.frames for NAME.mp4')
    add('--short-side', type=int, default=720, help='pixels of the shorter side (720)')
    add('--fps', type=float, default=4.0, help='frames a second (4)')
    add('--format', default='jpeg', choices=['jpeg', 'webp', 'png'], help='of a frame (jpeg)')
    add('--quality', type=int, help='1 to 100 (jpeg 90, webp 85)')
    add('--workers', type=int, help='videos at a time (as many as there are cores)')
    add('--overwrite', action='store_true', help='make proxies again that are there already')
    add('--verify', action='store_true', help='VIDEO are proxies: only check every frame of them')
    args = parser.parse_args()
    if not args.verify and args.out is None:
        parser.error('--out is needed')
    return args


def main() -> int:
    args = parse_args()
    settings = ProxySettings(args.short_side, args.fps, args.format, args.quality)
    try:
        if args.verify:
            failed = verify_proxies(args.videos)
        else:
            made = make_proxies(args.videos, args.out, settings, args.workers, args.overwrite)
            failed = made.failed
            for proxy in made.proxies:
                state = '' if proxy.is_new else ' (was there already)'
                size = f'{proxy.num_frames} frames, {proxy.num_bytes / 1e6:.1f} MB'
                print(f'{proxy.path}: {size}{state}')
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted: the same command goes on from here', file=sys.stderr)
        return 130
    for name, reason in failed.items():
        print(f'failed: {name}: {reason}', file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
