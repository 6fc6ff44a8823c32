"""Command lines of ``tools/train.py`` and ``tools/test.py``: their common options."""

import argparse
import os
from pathlib import Path

from mmengine.config import Config, DictAction

from .checks import check_overrides, check_top_level
from .compat import strip_function_scopes


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every tool that starts a runner."""
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        help='where logs and checkpoints go (default: work_dirs/<name of the config>)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change the config: dotted keys, lists as "[a,b]" or a,b, no white space inside',
    )
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='how the processes were started (the dist_*.sh and slurm_*.sh scripts set it)',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def load_run_config(args: argparse.Namespace) -> Config:
    """The config file with the command line's changes.

    Raises:
        ValueError, FileNotFoundError: for a missing file, or a wrong key of the config.
    """
    existing_file(args.config, 'config file')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    if args.cfg_options:
        check_overrides(cfg, args.cfg_options)
        try:
            cfg.merge_from_dict(args.cfg_options)
        except (TypeError, KeyError) as error:  # a key of what is no dict, such as None
            raise ValueError(f'--cfg-options: {error}') from error
    check_top_level(cfg)
    strip_function_scopes(cfg)
    cfg.work_dir = (
        args.work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(args.config).stem))
    )
    return cfg


def existing_file(path: str | Path, kind: str) -> str:
    """Check that a file exists; returns its path as a string.

    Raises:
        FileNotFoundError: says what kind of file is missing.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{kind} {path} does not exist')
    return str(path)
