"""Train (pretrain or fine-tune) with a config."""

import argparse
from pathlib import Path

import mmvidssl  # noqa: F401  (first: it checks versions and makes 'mmvidssl::' bases resolve)

# isort: split
from mmengine.config import Config
from mmengine.device import get_device

from mmvidssl.data_checks import check_config
from mmvidssl.engine.optimizers import fit_to_device, use_mixed_precision
from mmvidssl.utils.checks import check_pretrained_files, check_trainable
from mmvidssl.utils.run_config import add_run_arguments, existing_file, load_run_config
from mmvidssl.utils.run_options import add_train_options, set_train_options
from mmvidssl.utils.setup_env import join_group_without_gpu, leave_group
from mmvidssl.utils.terse_runner import TerseRunner

EXAMPLES = """examples:
  python tools/train.py configs/dora/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py
  python tools/train.py CONFIG --work-dir work_dirs/mine --resume
  python tools/train.py CONFIG --cfg-options train_dataloader.batch_size=8
  bash tools/dist_train.sh CONFIG 8                # 8 GPUs of this machine
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='the config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint; without PATH (or with "auto") from the latest in the work '
        'dir, or from the start if there is none',
    )
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    add_train_options(parser)
    add_run_arguments(parser)
    return parser


def set_resume(cfg: Config, resume: str | None) -> None:
    """Set what to resume: nothing (None), the latest checkpoint (``'auto'``) or a given file.

    If there is nothing to resume yet, ``'auto'`` leaves the config's ``load_from`` as it is.
    """
    if resume is None:
        return
    if resume != 'auto':
        cfg.load_from = existing_file(resume, '--resume: checkpoint')
    elif not cfg.get('load_from') or any(Path(cfg.work_dir).glob('*.pth')):
        cfg.load_from = None
    else:
        return
    cfg.resume = True


def main() -> None:
    parser = build_parser()
    args = parser.parse_args()
    try:
        cfg = load_run_config(args)
        set_train_options(cfg, args)
        set_resume(cfg, args.resume)
        check_trainable(cfg)
        check_pretrained_files(cfg)
        check_config(cfg)
        if args.amp:
            use_mixed_precision(cfg.optim_wrapper, get_device())
        elif fit_to_device(cfg.optim_wrapper, get_device(), cfg.get('default_scope') != 'mmdet'):
            print(f'no GPU: {cfg.optim_wrapper.type} takes the place of mixed precision')
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    join_group_without_gpu(cfg)
    try:
        TerseRunner.from_cfg(cfg).train()
    except KeyboardInterrupt:
        parser.exit(
            130,
            '\ninterrupted: the same command with --resume goes on from the latest checkpoint in '
            f'{cfg.work_dir}\n',
        )
    leave_group()


if __name__ == '__main__':
    main()
