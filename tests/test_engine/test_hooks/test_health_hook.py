"""Health in the log of real runs."""

import math
import re
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from torch import nn

from mmvidssl.engine.utils import gradient_norm
from mmvidssl.registry import HOOKS
from tests.utils_run import tiny_cfg, train

NAMES = [
    'teacher_entropy',
    'teacher_kl',
    'teacher_batch_entropy',
    'rank_teacher',
    'rank_student',
    'center_norm',
    'mask_coverage',
    'mask_overlap',
    'sinkhorn_residual',
]


class Watch(Hook):
    """What the model measured, by iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.measured = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.model.health:
            self.measured[runner.iter] = runner.model.health


def run(video, work_dir, interval, **options):
    cfg = tiny_cfg(video, work_dir, **options)
    cfg.custom_hooks = [dict(type='HealthHook', interval=interval)]
    cfg.default_hooks.checkpoint = None
    watch = Watch()
    return train(cfg, watch), watch


def history(runner, name):
    return runner.message_hub.get_scalar(f'train/{name}').data[0].tolist()


def test_every_log_line_carries_the_latest_measurement(video, tmp_path):
    runner, watch = run(video, tmp_path, interval=3)
    assert list(watch.measured) == [0, 3, 4, 6]  # 4 begins an epoch
    for name in NAMES:
        expected = [health[name].item() for health in watch.measured.values()]
        assert history(runner, name) == pytest.approx(expected, rel=1e-6)
    (log,) = Path(tmp_path).glob('*/*.log')
    lines = [line for line in log.read_text().splitlines() if 'Epoch(train)' in line]
    assert len(lines) == 8
    for name in [*NAMES, 'grad_norm', 'data_time', 'time']:
        assert all(f' {name}: ' in line for line in lines), name
    shown = [float(re.search(r'teacher_kl: (\S+)', line)[1]) for line in lines]
    measured = [health['teacher_kl'].item() for health in watch.measured.values()]
    expected = [measured[i] for i in (0, 0, 0, 1, 2, 2, 3, 3)]
    assert shown == pytest.approx(expected, abs=1e-4)
    assert not runner.model.measure_health


@pytest.mark.parametrize(
    'clip_grad, due', [(dict(max_norm=3.0), range(8)), (None, [0, 3, 4, 6])], ids=['clipped', 'not']
)
def test_gradient_norm_is_logged_once(video, tmp_path, clip_grad, due):
    """By MMEngine, in all iterations, if it clips."""
    runner, _ = run(
        video,
        tmp_path,
        interval=3,
        optim_wrapper__type='OptimWrapper',
        optim_wrapper__clip_grad=clip_grad,
    )
    norms = history(runner, 'grad_norm')
    assert len(norms) == len(due)
    assert all(math.isfinite(norm) and norm > 0 for norm in norms)


def test_accumulated_steps_are_measured_whole(video, tmp_path):
    runner, watch = run(
        video,
        tmp_path,
        interval=3,
        optim_wrapper__type='OptimWrapper',
        optim_wrapper__clip_grad=None,
        optim_wrapper__accumulative_counts=4,
    )
    assert list(watch.measured) == [3, 7]
    assert len(history(runner, 'grad_norm')) == 2


def test_gradient_norm_is_that_of_clipping():
    model = nn.Linear(3, 2)
    (10 * model(torch.ones(4, 3))).sum().backward()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = torch.nn.utils.clip_grad_norm_(model.parameters(), 1e6)
    torch.testing.assert_close(gradient_norm(optimizer), expected)
    model.bias.grad[0] = torch.nan
    assert not gradient_norm(optimizer).isfinite()
    optimizer.zero_grad()
    assert gradient_norm(optimizer) == 0


def test_refuses():
    class FakeRunner:
        model = nn.Linear(1, 1)

    with pytest.raises(ValueError, match='interval >= 1'):
        HOOKS.build(dict(type='mmvidssl.HealthHook', interval=0))
    with pytest.raises(TypeError, match='Linear'):
        HOOKS.build(dict(type='mmvidssl.HealthHook')).before_train(FakeRunner())
