"""Downstream configs made small: checkpoints to start from, and runs of two iterations.

A test of a config reads it, gives its backbone ``NARROW_VIT`` or ``FINETUNING_ARCH``, points its
data at a small data set and its ``init_cfg`` at a checkpoint of ``utils_pretraining``, and calls
``shrink_runner`` and ``train``; ``assert_backbone_loaded`` compares what training began with to the
file.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn

from mmvidssl.engine.optimizers import fit_to_device
from mmvidssl.registry import MODELS
from mmvidssl.utils import register_all_modules
from tests.utils_model import dora_cfg

# 12 blocks, as ``out_indices=(3, 5, 7, 11)`` needs; for images of 64 x 64 pixels in patches of 16.
NARROW_VIT = dict(embed_dims=32, num_layers=12, num_heads=2, feedforward_channels=64)
# Four scales; pretraining leaves out the last downscaling, as it does for MViTv2-S and L, so that
# relative positions of the block after it are interpolated.
FINETUNING_ARCH = dict(embed_dims=8, num_layers=6, num_heads=1, downscale_indices=[1, 2, 4])
PRETRAINING_ARCH = dict(FINETUNING_ARCH, downscale_indices=[1, 2], dim_mul_indices=[1, 2, 4])
MVIT_WIDTH = 64
# Of a backbone, in a file: the student's, a published one's, MaskFeat's; or the teacher's.
STUDENT, TEACHER = 'backbone.', 'teacher.backbone.'
SYNC_NORMS = {'SyncBN': 'BN', 'MMSyncBN': 'BN'}
_count = itertools.count()


def write_vit_checkpoint(
    path: str | Path, arch: dict | str = NARROW_VIT, img_size: int = 64, patch_size: int = 16
) -> Path:
    """A checkpoint of DoRA, whose student and teacher differ, as plain data."""
    backbone = dict(type='mmvidssl.DINOViT', arch=arch, img_size=img_size, patch_size=patch_size)
    cfg = dora_cfg(backbone=backbone)
    cfg['neck']['in_channels'] = arch['embed_dims'] if isinstance(arch, dict) else 384
    return write_checkpoint(path, cfg)


def write_checkpoint(path: str | Path, model_cfg: dict, seed: int = 0) -> Path:
    """``state_dict`` of an algorithm with random weights, all of them different from any other's.

    Noise is added to what initialisation sets to 0, 1 or the student's: a tensor that is not loaded
    cannot be equal by chance.
    """
    register_all_modules(init_default_scope=False)
    model = MODELS.build(model_cfg)
    rng = torch.Generator().manual_seed(seed)
    state_dict = {
        name: value + 0.02 * torch.randn(value.shape, generator=rng)
        if value.is_floating_point()
        else value
        for name, value in model.state_dict().items()
    }
    torch.save(dict(state_dict=state_dict, meta=dict(epoch=1, iter=1)), path)
    return Path(path)


def shrink_runner(cfg: Config, work_dir: str | Path, batch_size: int = 2) -> Config:
    """Two iterations on a CPU and a validation after them, in place.

    Batch normalisation is of one process, data are read in the main process.
    Models and data are the caller's to make small; an epoch of ``2 * batch_size`` samples has two
    iterations.
    """
    cfg.work_dir = str(work_dir)
    # MMEngine's runners of one name share logger and message hub.
    cfg.experiment_name = f'downstream{next(_count)}'
    cfg.launcher = 'none'
    cfg.env_cfg = dict(
        cudnn_benchmark=False, mp_cfg=dict(opencv_num_threads=0), dist_cfg=dict(backend='gloo')
    )
    for part in ('train', 'val', 'test'):
        loader = cfg.get(f'{part}_dataloader')
        if loader is not None:
            loader.update(num_workers=0, persistent_workers=False)
            loader.pop('prefetch_factor', None)
    cfg.train_dataloader.batch_size = batch_size
    _shorten(cfg)
    fit_to_device(cfg.optim_wrapper, 'cpu', cfg.default_scope != 'mmdet')  # as tools/train.py
    replace_sync_norms(cfg.model)
    return cfg


def _shorten(cfg: Config) -> None:
    """One epoch, or two iterations, then a validation."""
    train_cfg = cfg.train_cfg
    for key in ('dynamic_intervals', 'val_begin'):
        train_cfg.pop(key, None)
    if 'max_iters' in train_cfg:
        train_cfg.update(max_iters=2, val_interval=2)
    else:
        train_cfg.update(max_epochs=1, val_interval=1)
    cfg.default_hooks.logger.interval = 1


def replace_sync_norms(node) -> None:
    """``SyncBN`` -> ``BN`` everywhere in a config."""
    values: Iterable = ()
    if isinstance(node, (dict, ConfigDict)):
        if isinstance(node.get('type'), str) and node['type'] in SYNC_NORMS:
            node['type'] = SYNC_NORMS[node['type']]
        values = node.values()
    elif isinstance(node, (list, tuple)):
        values = node
    for value in values:
        replace_sync_norms(value)


class StartRecorder(Hook):
    """The model's state when training begins."""

    def before_train(self, runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.state = {key: value.detach().clone() for key, value in model.state_dict().items()}


def train(cfg: Config) -> tuple[Runner, dict[str, Tensor]]:
    """A real run of a shrunk config: the runner, and the model's state before the first step."""
    runner = Runner.from_cfg(cfg)
    start = StartRecorder()
    runner.register_hook(start, priority='LOWEST')
    runner.train()
    return runner, start.state


def build_on_meta(cfg: Config) -> nn.Module:
    """The model of a config at full size, whose parameters have shapes and no numbers."""
    register_all_modules(init_default_scope=False)
    init_default_scope(cfg.get('default_scope', 'mmvidssl'))
    model = dict(cfg.model)
    model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))  # as the runner does
    with torch.device('meta'):
        return MODELS.build(model)


def assert_backbone_loaded(
    state: dict[str, Tensor],
    checkpoint: str | Path,
    prefix: str = STUDENT,
    *,
    to: str = 'backbone.',
    renamed: dict[str, str] | None = None,
    interpolated: dict[str, Callable[[Tensor, torch.Size], Tensor]] | None = None,
    new: Sequence[str] = (),
    left_over: Sequence[str] = ('mask_token',),
) -> None:
    """Every tensor of the backbone is one of the file's, to the bit, and none is left over.

    Args:
        state: Of the model when training began, from ``train``.
        checkpoint: The file.
        prefix: Of the backbone in the file.
        to: Of the backbone in ``state``.
        renamed: New name by old name, or parts thereof: ``{'norm2.': 'norm3.'}``.
        interpolated: By the beginning or end of names, what makes a tensor of the given shape from
            the file's; only used where shapes differ.
        new: Beginnings of names that are not in the file.
        left_over: Names, or beginnings of them, in the file that the backbone does not need.
    """
    weights = torch.load(checkpoint, weights_only=True)['state_dict']
    given = {}
    for key, value in weights.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            for old, changed in (renamed or {}).items():
                name = changed + name.removeprefix(old) if name.startswith(old) else name
            given[name] = value
    backbone = {k.removeprefix(to): v for k, v in state.items() if k.startswith(to)}
    assert given and backbone
    missing = {name for name in backbone.keys() - given.keys() if not name.startswith(tuple(new))}
    assert not missing, f'not in the file: {sorted(missing)}'
    unused = {n for n in given.keys() - backbone.keys() if not n.startswith(tuple(left_over))}
    assert not unused, f'left over in the file: {sorted(unused)}'
    for name in backbone.keys() & given.keys():
        found, expected = backbone[name], given[name]
        if found.shape != expected.shape:
            rules = [
                rule
                for key, rule in (interpolated or {}).items()
                if name.startswith(key) or name.endswith(key)
            ]
            assert len(rules) == 1, f'{name}: {tuple(expected.shape)} -> {tuple(found.shape)}'
            expected = rules[0](expected, found.shape)
        assert torch.equal(found.cpu(), expected), f'{name} is not that of the file'
