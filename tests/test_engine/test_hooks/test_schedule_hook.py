"""The rate for the whole batch, the line at the start, the warnings, and what is logged."""

import itertools

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmvidssl.engine.hooks import ScheduleHook

_count = itertools.count()
COSINE = dict(type='mmvidssl.WarmupCosineLR', warmup=100, by_epoch=False)
WARMUP = dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=500)
STEPS = dict(type='MultiStepLR', milestones=[8, 11], end=12)


class Numbers(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(inputs=torch.full((2,), float(index)))


class Lines(BaseModel):
    def __init__(self):
        super().__init__()
        self.low, self.high = nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.high(self.low(torch.stack(inputs))).square().mean())


class Logged(Hook):
    """Rates that the log has, and those that are in use."""

    priority = 'LOWEST'

    def __init__(self):
        self.logged, self.used = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        scalar = runner.message_hub.get_scalar
        self.logged.append([scalar(f'train/{name}').current() for name in ('lr', 'base_lr')])
        self.used.append([group['lr'] for group in runner.optim_wrapper.optimizer.param_groups])


def run(
    tmp_path,
    passes=1,
    schedulers=(COSINE,),
    kind='AdamW',
    lr=1e-2,
    scaling=None,
    train_cfg=None,
    **options,
):
    """Peak rate of the last group, the hook above, and the log."""
    watch = Logged()
    low = dict(custom_keys={'low': dict(lr_mult=0.1)})
    runner = Runner(
        model=Lines(),
        work_dir=str(tmp_path),
        train_dataloader=dict(
            dataset=Numbers(), batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=train_cfg or dict(by_epoch=True, max_epochs=5),
        optim_wrapper=dict(
            optimizer=dict(type=kind, lr=lr), accumulative_counts=passes, paramwise_cfg=low
        ),
        param_scheduler=list(schedulers),
        auto_scale_lr=scaling,
        default_hooks=dict(checkpoint=None),
        custom_hooks=[ScheduleHook(**options), watch],
        default_scope='mmengine',
        experiment_name=f'schedule{next(_count)}',
    )
    runner.train()
    (log,) = tmp_path.rglob('*.log')
    return runner.optim_wrapper.optimizer.param_groups[-1]['initial_lr'], watch, log.read_text()


@pytest.mark.parametrize(
    'passes, options, expected',
    [
        (1, {}, 1e-2 * 2 / 64),
        (4, {}, 1e-2 * 8 / 64),
        (4, dict(min_lr=5e-3), 5e-3),
        (4, dict(min_lr=1e-4), 1e-2 * 8 / 64),
    ],
)
def test_rate_is_for_the_clips_of_a_step(tmp_path, passes, options, expected):
    scaling = dict(enable=True, base_batch_size=64)
    peak, watch, log = run(tmp_path, passes=passes, scaling=scaling, **options)
    assert peak == pytest.approx(expected)
    assert f'20 iterations{", 4 for a step of the optimizer" if passes == 4 else ""}: 2 of ' in log
    assert f'peak learning rate {expected:.3g} for {2 * passes} samples a step\n' in log
    assert max(rate for _, rate in watch.logged) == pytest.approx(expected)
    for (lr, base_lr), (low, *_, high) in zip(watch.logged, watch.used, strict=True):
        assert lr == pytest.approx(high) and base_lr == pytest.approx(high)
        assert low == pytest.approx(0.1 * high)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(lr=2.5e-5), 'hardly learns: 20 steps of at most 2.5e-05'),
        (dict(lr=2.5e-5, min_lr=1e-2), None),
        (dict(lr=2.5e-5, kind='SGD'), None),
        (dict(schedulers=[WARMUP]), '500 of 20 iterations are warm-up'),
        (dict(schedulers=[STEPS]), 'schedule of lr is for 12 epochs, and the run has 5'),
        (dict(schedulers=[dict(WARMUP, end=2), dict(STEPS, end=3)]), 'is for 3 epochs, and'),
        (dict(schedulers=[dict(WARMUP, end=6), dict(STEPS, end=5)]), None),
        (dict(schedulers=[dict(WARMUP, end=2), dict(COSINE, begin=2)]), None),
        (dict(schedulers=[dict(COSINE, end=10)]), 'is for 10 iterations, and the run has 20'),
        (dict(scaling=dict(enable=False, base_batch_size=64)), 'not scaled from the 64'),
        (dict(), None),
    ],
)
def test_says_what_cannot_learn(tmp_path, options, message):
    _, _, log = run(tmp_path, **options)
    if message is None:
        assert 'hardly' not in log and 'schedule of' not in log and 'not scaled' not in log
    else:
        assert message in log


def test_epochs_in_a_loop_of_iterations(tmp_path):
    """What MMEngine does with them: nothing."""
    schedulers = [dict(WARMUP, by_epoch=True, end=5), dict(STEPS, milestones=[1, 2])]
    train_cfg = dict(type='IterBasedTrainLoop', max_iters=20)
    _, watch, log = run(tmp_path, schedulers=schedulers, train_cfg=train_cfg)
    assert {used[-1] for used in watch.used} == {1e-2 * 0.1}
    assert 'schedule of lr counts epochs' in log and '20 iterations: 0 of warm-up' in log
    assert 'are warm-up' not in log and 'the run has' not in log


def test_refuses_a_negative_floor():
    with pytest.raises(ValueError, match='min_lr .*-1'):
        ScheduleHook(min_lr=-1)
