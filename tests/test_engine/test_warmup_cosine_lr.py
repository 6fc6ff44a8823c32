"""Rates of every iteration: as MMEngine's two schedules say, and for any length of the run."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from mmvidssl.engine.schedulers import WarmupCosineLR
from mmvidssl.utils.setup_env import register_all_modules
from tests.test_downstream.utils_dense import read_config

ROOT = Path(__file__).parents[2]
ITERS = 7  # an epoch
SMALL = 'configs/downstream/kinetics/mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400.py'
LARGE = 'configs/downstream/kinetics/mvit-large_maskfeat-k400-pre_32xb'
DORA, MASKFEAT = 'configs/dora/dora_vit-small-p16_8xb16-amp-coslr-', 'configs/maskfeat/maskfeat_'
IMAGENET = 'configs/downstream/imagenet/vit-'
# Epochs, of which warm-up, first rate relative to the peak, and the last. Sources: the released
# DoRA's and PySlowFast's configs, as the configs' headers say.
RECIPES = {
    f'{DORA}100e_wt-venice.py': (100, 10, 1e-6, dict(eta_min=1e-5)),
    f'{DORA}300e_wt-venice.py': (300, 10, 1e-6, dict(eta_min=1e-5)),
    f'{DORA}1500e_wt-venice-proxy.py': (1500, 150, 1e-6, dict(eta_min=1e-5)),
    f'{MASKFEAT}mvit-small_8xb32-amp-coslr-300e_k400.py': (300, 10, 0.01, dict(eta_min_ratio=0.01)),
    f'{MASKFEAT}mvit-large_8xb32-amp-coslr-800e_k400.py': (800, 10, 0.01, dict(eta_min_ratio=0.01)),
    f'{MASKFEAT}vit-base-p16_8xb256-amp-coslr-1600e_in1k.py': (
        *(1600, 30, 0.005),
        dict(eta_min_ratio=0.005),
    ),
    SMALL: (100, 20, 1 / 600, dict(eta_min_ratio=1 / 600)),
    f'{LARGE}8-amp-16x4x1-75e_k400.py': (75, 5, 1 / 60000, dict(eta_min_ratio=1 / 60)),
    f'{LARGE}2-amp-40x3x1-312px-30e_k400.py': (30, 5, 1 / 60000, dict(eta_min_ratio=1 / 60)),
    f'{IMAGENET}base-p16_maskfeat-in1k-pre_8xb256-amp-coslr-100e_in1k.py': (
        *(100, 20, 5e-6),
        dict(eta_min_ratio=5e-4),
    ),
}


def rates(schedulers, num_iters, max_epochs, lr=1.0, name='lr'):
    """Of every iteration; ``end`` is filled in as MMEngine's runner does."""
    register_all_modules(init_default_scope=False)
    parameters = [dict(params=[nn.Parameter(torch.ones(1))]) for _ in range(2)]
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.04)
    built = []
    for cfg in schedulers:
        args = dict(optimizer=OptimWrapper(optimizer), epoch_length=ITERS)
        end = max_epochs if cfg.get('by_epoch', True) else num_iters
        built.append(PARAM_SCHEDULERS.build(dict(dict(end=end), **cfg), default_args=args))
    seen = []
    for _ in range(num_iters):
        seen.append(optimizer.param_groups[0][name])
        optimizer.step()
        for scheduler in built:
            scheduler.step()
    return seen


def with_scope(schedulers):
    return [dict(s, type=s.type if '.' in s.type else f'mmvidssl.{s.type}') for s in schedulers]


@pytest.mark.parametrize('path', RECIPES)
def test_released_recipes_keep_their_schedule(path):
    epochs, warmup, start, low = RECIPES[path]
    cfg = Config.fromfile(ROOT / path)
    assert cfg.train_cfg.max_epochs == epochs
    units = dict(by_epoch=True, convert_to_iter_based=True)
    theirs = [
        dict(type='LinearLR', start_factor=start, end=warmup, **units),
        dict(type='CosineAnnealingLR', begin=warmup, T_max=epochs - warmup, **low, **units),
    ]
    lr = cfg.optim_wrapper.optimizer.lr
    length = (epochs * ITERS, epochs, lr)
    expected = rates(theirs, *length)
    assert rates(with_scope(cfg.param_scheduler), *length) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('epochs', [1, 5, 40])
def test_a_shorter_run_has_all_of_the_schedule(epochs):
    cfg = Config.fromfile(ROOT / f'{DORA}100e_wt-venice.py')
    length, schedulers = epochs * ITERS, with_scope(cfg.param_scheduler)
    seen = rates(schedulers, length, epochs, 5e-4)
    rising = round(0.1 * length)
    assert seen[max(rising - 1, 0)] == max(seen) == 5e-4 or rising == 1
    falling = seen[rising:]
    assert falling == sorted(falling, reverse=True)
    step = math.pi / len(falling)
    assert falling[-1] == pytest.approx(1e-5 + 4.9e-4 * (1 - math.cos(step)) / 2)
    decay = rates(schedulers, length, epochs, 5e-4, 'weight_decay')
    assert decay[0] == 0.04 and decay[-1] > 0.3 and decay == sorted(decay)


def test_the_end_is_never_above_the_peak():
    """5e-4 for 256 clips is less than 1e-5 for fewer than 6."""
    cosine = dict(type='mmvidssl.WarmupCosineLR', eta_min=1e-5, by_epoch=False)
    assert rates([cosine], 20, 1, 7.8e-6) == [7.8e-6] * 20


@pytest.mark.parametrize(
    'path',
    [
        'coco/mask-rcnn_vit-small-p16_dora-wt-pre_1xb4-amp-ms-12e_own-data.py',
        'ade20k/upernet_vit-small-p16_dora-wt-pre_1xb4-amp-20k_own-data-512x512.py',
        'kinetics/mvit-small_maskfeat-k400-pre_1xb8-amp-16x4x1-50e_own-data.py',
        'imagenet/vit-small-p16_dora-wt-pre_1xb64-amp-coslr-50e_own-data.py',
    ],
)
def test_own_data_is_not_all_warm_up(path):
    """20 images of COCO's are 12 epochs of 5 iterations."""
    cfg = read_config(ROOT / 'configs/downstream' / path)
    seen = rates(cfg.param_scheduler, 60, 60 / ITERS)
    assert seen.index(max(seen)) < 7 and seen[-1] < 0.01


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(warmup=-1), 'warmup=-1'),
        (dict(max_share=1.0), 'max_share=1.0'),
        (dict(start_ratio=2), 'start_ratio=2'),
        (dict(eta_min=1, eta_min_ratio=1), 'one of eta_min and eta_min'),
    ],
)
def test_refuses_what_is_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        WarmupCosineLR(torch.optim.SGD([torch.ones(1)], lr=1), end=10, **options)
