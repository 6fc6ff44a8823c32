"""Check all data of a fine-tuning config: what is there, what is wrong, and how to mend it."""

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
    Finding,
    Report,
    check_dataset,
    expected_tree,
    find_in_config,
    leaves,
    refuse,
)
from mmvidssl.registry import DATASETS, MODELS
from mmvidssl.utils.run_config import add_run_arguments, load_run_config

EXAMPLES = """examples:
  python tools/datasets/check.py CONFIG
  python tools/datasets/check.py CONFIG --num-opened 1000
  python tools/datasets/check.py CONFIG --cfg-options train_dataloader.dataset.data_root=data/mine

exit code 1: something that cannot be learnt from; warnings may be meant
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='the config file')
    parser.add_argument('--tree', action='store_true', help='print the expected files, and no more')
    parser.add_argument(
        '--num-opened',
        type=int,
        metavar='N',
        help='open N samples of each data set, evenly spaced, and no videos (default: all of all)',
    )
    add_run_arguments(parser)
    return parser


def report(place: str, findings: list[Finding]) -> bool:
    """Print them; whether none is an error."""
    try:
        refuse(place, findings, lambda line: print(f'warning: {line}'))
    except (ValueError, FileNotFoundError) as error:
        print('\n'.join(f'error: {line}' for line in str(error).splitlines()))
        return False
    return True


def check_part(cfg: Config, part: str, model: nn.Module, num_opened: int | None) -> list[Report]:
    """Of each data set of a data loader."""
    dataset = DATASETS.build(cfg[f'{part}_dataloader'].dataset)
    reports = []
    for leaf in leaves(dataset):
        if isinstance(leaf, BaseDataset):
            print(f'reading {len(leaf)} samples of {part}', file=sys.stderr)
            reports.append(check_dataset(leaf, f'{part}_dataloader.dataset', model, num_opened))
    return reports


def print_table(reports: list[Report]) -> None:
    """Samples, objects or pixels of each class, a column for each data set."""
    classes = {name: None for report in reports for name in report.counts}
    width = max(map(len, classes), default=0)
    for index, report in enumerate(reports):
        print(f'[{index}] {report.line}')
    for name in classes:
        numbers = (report.counts.get(name, 0) for report in reports)
        print(f'  {name:{width}}', *(f'{number:12,}' for number in numbers))


def main() -> int:
    parser = build_parser()
    args = parser.parse_args()
    try:
        cfg = load_run_config(args)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    if args.tree:
        print(expected_tree(cfg))
        return 0
    print(f'expected files:\n\n{expected_tree(cfg, says_missing=True)}\n')
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))  # as the runner does
    model = MODELS.build(cfg.model)
    is_good, reports = True, []
    parts = [part for part in ('train', 'val', 'test') if cfg.get(f'{part}_dataloader')]
    if 'val' in parts and cfg.get('test_dataloader') == cfg.val_dataloader:
        parts = [part for part in parts if part != 'test']
    for part in parts:
        found = list(find_in_config(cfg, [part]))
        if not report('', found):
            is_good = False
            continue
        try:
            reports += check_part(cfg, part, model, args.num_opened)
        except (ValueError, KeyError, TypeError, AssertionError, RuntimeError, OSError) as error:
            print(f'error: {part}_dataloader.dataset: {type(error).__name__}: {error}')
            is_good = False
    print_table(reports)
    for each in reports:
        is_good &= report(each.place, each.findings)
    print('nothing here that cannot be learnt from' if is_good else 'mend the errors above')
    return 0 if is_good else 1


if __name__ == '__main__':
    sys.exit(main())
