from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim.optimizer import amp_optimizer_wrapper
from torch import nn

from mmvidssl.registry import HOOKS, MODELS, OPTIM_WRAPPERS
from tests.utils_model import maskfeat_cfg
from tests.utils_run import tiny_cfg, train


def momentum_hook(**options):
    return HOOKS.build({'type': 'mmvidssl.TeacherMomentumHook', **options})


def temp_hook(**options):
    return HOOKS.build({'type': 'mmvidssl.TeacherTempHook', **options})


def test_momentum_is_dinos_backwards():
    """DINO's m goes from 0.996 to 1 on a cosine; ours is what is left of one."""
    hook = momentum_hook()
    values = [hook.momentum_at(i, 100) for i in range(101)]
    assert values[0] == pytest.approx(1 - 0.996)
    assert values[50] == pytest.approx(0.002)
    assert values[100] == pytest.approx(0)
    assert values == sorted(values, reverse=True)


def test_temp_ramp():
    hook = temp_hook(warmup_teacher_temp=0.04, teacher_temp=0.07, warmup_epochs=4)
    temps = [hook.temp_at(step) for step in range(6)]
    assert temps == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.07, 0.07])


def test_no_ramp_is_the_final_temperature():
    assert temp_hook(warmup_teacher_temp=0.01, teacher_temp=0.07).temp_at(0) == 0.07


@pytest.mark.parametrize(
    'build, options, message',
    [
        (momentum_hook, dict(momentum=-0.1), 'momentum is the weight of the student'),
        (momentum_hook, dict(end_momentum=1.1), 'end_momentum is the weight of the student'),
        (temp_hook, dict(teacher_temp=0), 'must be positive'),
        (temp_hook, dict(warmup_teacher_temp=-1), 'must be positive'),
    ],
)
def test_refuses(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_refuses_a_model_without_a_teacher():
    class FakeRunner:
        model = nn.Linear(1, 1)

    with pytest.raises(TypeError, match='Linear'):
        momentum_hook().before_train(FakeRunner())


def test_refuses_a_model_whose_target_has_no_teacher():
    runner = SimpleNamespace(model=MODELS.build(maskfeat_cfg()))
    with pytest.raises(TypeError, match='MaskFeat'):
        momentum_hook().before_train(runner)


def test_refuses_to_wait_for_epochs_in_a_loop_without(video, tmp_path):
    cfg = tiny_cfg(video, tmp_path, param_scheduler=None)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
    cfg.custom_hooks = [dict(type='TeacherTempHook', warmup_epochs=3)]
    with pytest.raises(ValueError, match='Set by_epoch=False'):
        train(cfg)


class Model(nn.Linear):
    def __init__(self):
        super().__init__(2, 1)
        self.momenta = []
        self.num_finished = 0

    def update_teacher(self, momentum):
        self.momenta.append(momentum)

    def finish_step(self):
        self.num_finished += 1


@pytest.mark.parametrize('fused', [False, True])
def test_no_movement_when_the_loss_scaler_skips_a_step(monkeypatch, fused):
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(
        amp_optimizer_wrapper, 'GradScaler', lambda: torch.amp.GradScaler('cpu', init_scale=2.0)
    )
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), fused=fused)
    wrapper = OPTIM_WRAPPERS.build(dict(type='mmengine.AmpOptimWrapper', optimizer=optimizer))
    hub = MessageHub.get_instance('skipped steps')
    runner = SimpleNamespace(model=model, optim_wrapper=wrapper, message_hub=hub, max_iters=4)
    hook = momentum_hook(momentum=1.0)
    hook.before_train(runner)
    moved = []
    for runner.iter, factor in enumerate([1.0, float('inf'), 1.0, float('nan')]):
        weight = model.weight.detach().clone()
        wrapper.update_params(factor * model(torch.ones(1, 2)).sum())
        hook.after_train_iter(runner, runner.iter)
        moved.append(not torch.equal(model.weight, weight))
    assert moved == [True, False, True, False]
    assert model.num_finished == 4  # the center moves in skipped steps too, as in DINO's code
    assert model.momenta == [hook.momentum_at(0, 4), hook.momentum_at(2, 4)]
    for name, expected in dict(teacher_momentum=0.5, teacher_m=0.5).items():  # at iteration 2 of 4
        assert hub.get_scalar(f'train/{name}').current() == pytest.approx(expected), name
