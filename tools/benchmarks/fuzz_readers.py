"""Damage small videos at random and read them with every backend, under a deadline.

Prints what came of them; the status is 1 if the caller was held beyond the deadline, or if an error
came up that is not a VideoError and would stop a run.
"""

import argparse
import sys
import tempfile
import time

from mmvidssl.apis import fuzz_readers


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--num', type=int, default=1000, help='damaged videos (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the damages (%(default)s)')
    parser.add_argument(
        '--timeout', type=float, default=10, help='seconds for a request (%(default)s)'
    )
    parser.add_argument('--readers', nargs='+', help='by name, such as DecordReader (all)')
    parser.add_argument('--verbose', action='store_true', help='list what timed out or died')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = fuzz_readers(folder, args.num, args.seed, args.timeout, args.readers)
    for name, count in tally.outcomes.items():
        for line in tally.skipped[name]:
            print(f'{name} does not read this one even whole: {line}')
        counts = ', '.join(f'{outcome} {number}' for outcome, number in count.most_common())
        print(f'{name}: {count.total()} damaged videos: {counts or "none"}; hung {count["hung"]}')
        for line in tally.not_decoded[name] if args.verbose or not tally.is_safe else ():
            print(f'  {line}')
    print(f'{time.monotonic() - started:.0f} s; this process is alive')
    return 0 if tally.is_safe and any(map(len, tally.outcomes.values())) else 1


if __name__ == '__main__':
    sys.exit(main())
