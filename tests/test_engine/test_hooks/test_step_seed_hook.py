from types import SimpleNamespace

import torch

from mmvidssl.registry import HOOKS


def draw(seed, iteration):
    hook = HOOKS.build(dict(type='mmvidssl.StepSeedHook'))
    hook.before_train_iter(SimpleNamespace(seed=seed, iter=iteration), 0)
    return torch.rand(4)


def test_draws_depend_on_seed_and_iteration_alone():
    first = draw(0, 5)
    torch.rand(7)
    assert torch.equal(draw(0, 5), first)
    others = [draw(0, 6), draw(1, 5), draw(5, 0)]
    assert not any(torch.equal(other, first) for other in others)


def test_processes_draw_differently(monkeypatch):
    first = draw(0, 5)
    monkeypatch.setattr('mmvidssl.engine.hooks.step_seed_hook.get_rank', lambda: 1)
    assert not torch.equal(draw(0, 5), first)
