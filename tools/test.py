"""Evaluate a checkpoint with the test loop of a config."""

import argparse
from pathlib import Path

import mmvidssl  # noqa: F401  (first: it checks versions and makes 'mmvidssl::' bases resolve)

# isort: split
from mmvidssl.data_checks import check_config
from mmvidssl.utils.run_config import add_run_arguments, existing_file, load_run_config
from mmvidssl.utils.run_options import add_test_options, set_test_options
from mmvidssl.utils.setup_env import join_group_without_gpu, leave_group
from mmvidssl.utils.terse_runner import TerseRunner


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path, help='the config file')
    parser.add_argument(
        'checkpoint',
        type=Path,
        help='checkpoint file; "none": FrozenEncoder with random weights '
        '(docs/en/tutorials/evaluation.md)',
    )
    add_test_options(parser)
    add_run_arguments(parser)
    return parser


def main() -> None:
    parser = build_parser()
    args = parser.parse_args()
    try:
        cfg = load_run_config(args)
        is_random = str(args.checkpoint) == 'none' and 'FrozenEncoder' in str(cfg.model.get('type'))
        cfg.load_from = None if is_random else existing_file(args.checkpoint, 'checkpoint')
        if cfg.get('test_dataloader') is None or cfg.get('test_evaluator') is None:
            raise ValueError(
                f'{args.config} has no test_dataloader and test_evaluator: a pretraining config '
                'has nothing to test. Test a fine-tuning config that loads its backbone.'
            )
        set_test_options(cfg, args)
        check_config(cfg, parts=['test'])
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    join_group_without_gpu(cfg)
    TerseRunner.from_cfg(cfg).test()
    leave_group()


if __name__ == '__main__':
    main()
