"""The command line of all converters."""

import argparse
import sys
from collections.abc import Callable

from .convert import Conversion


def run_converter(convert: Callable[..., Conversion], description: str) -> int:
    """Convert what the command line names; gives the exit code.

    Args:
        convert: Takes source, target and force, as :func:`convert_checkpoint` does.
        description: Shown by ``--help``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('src', help='what the released code saved, or a released backbone')
    parser.add_argument('dst', help='name of the new file')
    parser.add_argument('--force', action='store_true', help='overwrite DST')
    args = parser.parse_args()
    try:
        done = convert(args.src, args.dst, args.force)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{done.path}: {done.kind}, {done.arch}')
    for name, reason in done.dropped.items():
        print(f'not converted: {name} ({reason})')
    return 0
