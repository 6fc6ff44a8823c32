"""Check all data of a fine-tuning config: what is there, what is wrong, and how to fix it."""

import argparse
import sys
from pathlib import Path

import mmvidssl  # noqa: F401  (first: it checks versions and makes 'mmvidssl::' bases resolve)

# isort: split
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from torch import nn

from mmvidssl.data_checks import (
    Subject,
    check_config,
    check_dataset,
    expected_tree,
    leaves,
    refuse,
)
from mmvidssl.registry import DATASETS, MODELS
from mmvidssl.utils.run_config import add_run_arguments, load_run_config

EXAMPLES = """examples:
  python tools/datasets/check.py CONFIG
  python tools/datasets/check.py CONFIG --num-opened 1000
  python tools/datasets/check.py CONFIG --cfg-options train_dataloader.dataset.data_root=data/mine

exit code 1 if there are errors: data that cannot be learnt from; warnings may be intended
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='the config file')
    parser.add_argument(
        '--num-opened',
        type=int,
        metavar='N',
        help='open N evenly spaced samples per data set, but no videos (default: open everything)',
    )
    add_run_arguments(parser)
    return parser


def print_errors(fault: Exception) -> None:
    print('\n'.join(f'error: {line}' for line in str(fault).splitlines()))


def check_part(cfg: Config, part: str, model: nn.Module, num_opened: int | None) -> list[Subject]:
    """Check each data set of a data loader."""
    check_config(cfg, [part])
    subjects = []
    for leaf in leaves(DATASETS.build(cfg[f'{part}_dataloader'].dataset)):
        if isinstance(leaf, BaseDataset):
            print(f'reading {len(leaf)} samples of {part}', file=sys.stderr)
            subjects.append(check_dataset(leaf, f'{part}_dataloader.dataset', model, num_opened))
    return subjects


def print_table(subjects: list[Subject]) -> None:
    """Print samples, objects or pixels of each class, a column for each data set."""
    classes = {str(name): n for each in subjects for n, name in enumerate(each.classes)}
    width = max(map(len, classes), default=0)
    for index, each in enumerate(subjects):
        print(f'[{index}] {each.line}')
    for name, n in classes.items():
        print(f'  {name:{width}}', *(f'{each.counts[n]:12,}' for each in subjects))


def main() -> int:
    args = build_parser().parse_args()
    subjects, is_good = [], True
    try:
        cfg = load_run_config(args)
    except (ValueError, FileNotFoundError) as fault:
        print_errors(fault)
        return 1
    print(f'expected files:\n\n{expected_tree(cfg)}\n')
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))  # as the runner does
    model = MODELS.build(cfg.model)
    parts = [part for part in ('train', 'val', 'test') if cfg.get(f'{part}_dataloader')]
    samples = {part: dict(cfg[f'{part}_dataloader'].dataset, pipeline=None) for part in parts}
    if 'test' in parts and samples['test'] == samples.get('val'):
        parts.remove('test')
    for part in parts:
        try:
            subjects += check_part(cfg, part, model, args.num_opened)
        except Exception as fault:  # what a library makes of data that it cannot read
            print_errors(fault)
            is_good = False
    print_table(subjects)
    for subject in subjects:
        try:
            refuse(subject.place, subject.findings, lambda line: print(f'warning: {line}'))
        except (ValueError, FileNotFoundError) as fault:
            print_errors(fault)
            is_good = False
    print('all of it can be trained on' if is_good else 'fix the errors above')
    return 0 if is_good else 1


if __name__ == '__main__':
    sys.exit(main())
