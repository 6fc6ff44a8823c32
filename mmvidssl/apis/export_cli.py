"""The command line of the exporters of ViTs."""

import argparse
import sys
from collections.abc import Callable

from .export_vit import Export


def run_exporter(export: Callable[..., Export], description: str, out: str) -> int:
    """Export what the command line names; gives the exit code.

    Args:
        export: :func:`export_to_timm` or :func:`export_to_hf`.
        description: Shown by ``--help``.
        out: What the new file is.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('checkpoint', help='a published backbone, or a checkpoint of a run')
    parser.add_argument('out', help=out)
    parser.add_argument('--role', choices=('teacher', 'student'), default='teacher')
    parser.add_argument(
        '--num-heads', type=int, help='default: as the config in the file says, else channels / 64'
    )
    parser.add_argument(
        '--img-size',
        type=int,
        nargs='+',
        metavar='PIXELS',
        help='height and width of the images that the positions are of; default: as the config '
        'in the file says, else a square',
    )
    parser.add_argument('--force', action='store_true', help='overwrite OUT')
    args = parser.parse_args()
    try:
        done = export(
            args.checkpoint, args.out, args.role, args.num_heads, args.force, args.img_size
        )
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{done.path}; load it with\n\n{done.usage}')
    return 0
