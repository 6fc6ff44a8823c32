"""Options of the libraries' own ``tools/train.py`` and ``tools/test.py``, for all libraries."""

import argparse
import os
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device

# The hook that draws, and its arguments that enable it and name a folder.
DRAWING = {
    'mmpretrain': ('VisualizationHook', 'enable', 'out_dir'),
    'mmdet': ('DetVisualizationHook', 'draw', 'test_out_dir'),
    'mmseg': ('SegVisualizationHook', 'draw', None),  # the visualizer has the folder
}


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tools/train.py``."""
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="multiply the learning rate by the total batch size / the config's "
        'auto_scale_lr.base_batch_size (sets auto_scale_lr.enable)',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='skip validation, so keep no best checkpoint'
    )
    parser.add_argument(
        '--seed', type=int, help="seed, also of the data (default: the config's randomness.seed)"
    )
    parser.add_argument(
        '--diff-rank-seed', action='store_true', help='add the rank of each process to its seed'
    )
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help="use only torch's deterministic algorithms: slower; an operator that has none stops "
        'the run with an error that names it',
    )


def set_train_options(cfg: Config, args: argparse.Namespace) -> None:
    """Put the options of ``tools/train.py`` into the config.

    Raises:
        ValueError: the config has no ``auto_scale_lr.base_batch_size`` to scale from.
    """
    if args.auto_scale_lr:
        if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
            raise ValueError(
                f'--auto-scale-lr: {cfg.filename} has no auto_scale_lr.base_batch_size, the batch '
                'that its learning rate is for'
            )
        cfg.auto_scale_lr.enable = True
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        (cfg.get('default_hooks', {}).get('checkpoint') or {}).pop('save_best', None)
    given = dict(
        seed=args.seed,
        diff_rank_seed=args.diff_rank_seed or None,
        deterministic=args.deterministic or None,
    )
    given = {key: value for key, value in given.items() if value is not None}
    cfg.randomness = {'seed': None, **(cfg.get('randomness') or {}), **given}
    if args.deterministic:  # which cuBLAS requires
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')


def add_test_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tools/test.py``."""
    parser.add_argument(
        '--show', action='store_true', help='show predictions in a window (mmaction2 cannot)'
    )
    parser.add_argument(
        '--show-dir',
        metavar='DIR',
        help='save drawn predictions in DIR (mmdetection: <work dir>/<time>/DIR; '
        'mmsegmentation: DIR/vis_data/vis_image; mmaction2 cannot)',
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds per image of --show (default: 2)'
    )
    parser.add_argument(
        '--out',
        metavar='PATH',
        help='write predictions: folder of masks (mmsegmentation), or a .pkl as by --dump',
    )
    parser.add_argument(
        '--dump', metavar='FILE', help='write all predictions to a .pkl for offline evaluation'
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test-time augmentation by the config's tta_model and tta_pipeline; without these, "
        'mmpretrain averages each image and its mirror image, other libraries refuse',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='test with automatic mixed precision (mmdetection, mmaction2: only on a GPU)',
    )


def set_test_options(cfg: Config, args: argparse.Namespace) -> None:
    """Put the options of ``tools/test.py`` into the config.

    Raises:
        ValueError: the library lacks one of them, or a file to write does not end in ``.pkl``.
    """
    library = cfg.get('default_scope')
    if args.show or args.show_dir:
        _draw(cfg, args, library)
    if args.out and library == 'mmseg':
        for metric in _metrics(cfg):
            metric['output_dir'] = args.out
    elif args.out:
        _dump(cfg, '--out', args.out, library)
    if args.dump:
        _dump(cfg, '--dump', args.dump, library)
    if args.tta:
        _average_views(cfg, library)
    if args.amp:
        if library in ('mmdet', 'mmaction') and get_device() == 'cpu':
            raise ValueError(f'--amp: {library} cannot use the bfloat16 of a CPU, leave it out')
        cfg.test_cfg = dict(cfg.get('test_cfg') or {}, fp16=True)


def _draw(cfg: Config, args: argparse.Namespace, library: str) -> None:
    if library not in DRAWING:
        raise ValueError(
            f'--show, --show-dir: nothing draws the tests of {library} (the hook of mmaction2 1.2 '
            'fails); its MMAction2Inferencer draws videos, see docs/en/howto/inference.md'
        )
    if args.tta and library == 'mmpretrain':
        raise ValueError('--show, --show-dir: mmpretrain cannot draw with --tta; leave one out')
    kind, switch, folder = DRAWING[library]
    hook = cfg.default_hooks.setdefault('visualization', dict(type=kind))
    hook.update({switch: True, 'interval': 1, 'show': args.show})
    hook.wait_time = args.wait_time
    if args.show_dir and folder:
        hook[folder] = args.show_dir
    elif args.show_dir:
        cfg.visualizer.save_dir = args.show_dir


def _metrics(cfg: Config) -> list[dict]:
    """Metrics of the test evaluator, which becomes the list of them."""
    evaluator = cfg.test_evaluator
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    cfg.test_evaluator = list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]
    return cfg.test_evaluator


def _dump(cfg: Config, option: str, path: str, library: str) -> None:
    if Path(path).suffix not in ('.pkl', '.pickle'):
        raise ValueError(f'{option}: predictions go into a file that ends in .pkl, got {path}')
    kind = 'DumpDetResults' if library == 'mmdet' else 'DumpResults'
    _metrics(cfg).append(dict(type=kind, out_file_path=path))


def _average_views(cfg: Config, library: str) -> None:
    if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
        if library != 'mmpretrain':
            raise ValueError(
                f'--tta: {cfg.filename} has no tta_model and tta_pipeline, and {library} has no '
                'default for them'
            )
        *steps, pack = deepcopy(_innermost(cfg).pipeline)
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        cfg.tta_pipeline = [*steps, dict(type='TestTimeAug', transforms=[flips, [pack]])]
        cfg.tta_model = dict(type='AverageClsScoreTTA')
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    _innermost(cfg).pipeline = cfg.tta_pipeline


def _innermost(cfg: Config) -> ConfigDict:
    """The test data set inside its wrappers."""
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return dataset
