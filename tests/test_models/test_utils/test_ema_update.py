import pytest
import torch
from torch import nn

from mmvidssl.models.utils import ema_update_


def constant(value: float) -> nn.Linear:
    layer = nn.Linear(3, 2)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


def test_closed_form_over_steps():
    teacher, student = constant(1.0), constant(5.0)
    for step in range(1, 6):
        ema_update_(teacher, student, 0.1)
        expected = 5.0 + (1.0 - 5.0) * 0.9**step
        torch.testing.assert_close(teacher.weight, torch.full((2, 3), expected))
        torch.testing.assert_close(teacher.bias, torch.full((2,), expected))
    assert (student.weight == 5.0).all()


def test_zero_leaves_and_one_copies():
    teacher, student = constant(1.0), nn.Linear(3, 2)
    ema_update_(teacher, student, 0.0)
    assert (teacher.weight == 1.0).all()
    ema_update_(teacher, student, 1.0)
    assert torch.equal(teacher.weight, student.weight)


def test_parameters_are_matched_by_name_and_stay_leaves():
    teacher = nn.ModuleDict(dict(a=constant(0.0), b=constant(0.0)))
    student = nn.ModuleDict(dict(b=constant(2.0), a=constant(1.0)))
    ema_update_(teacher, student, 1.0)
    assert (teacher['a'].weight == 1.0).all() and (teacher['b'].weight == 2.0).all()
    assert teacher['a'].weight.is_leaf and not teacher['a'].weight.grad_fn


def test_buffers_are_copied():
    teacher, student = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    student(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)))
    ema_update_(teacher, student, 0.1)
    assert torch.equal(teacher.running_mean, student.running_mean)
    assert teacher.num_batches_tracked == 1


@pytest.mark.parametrize('momentum', [-0.1, 1.1])
def test_refuses_a_momentum_that_is_no_weight(momentum):
    with pytest.raises(ValueError, match=r'lies in \[0, 1\]'):
        ema_update_(constant(0.0), constant(1.0), momentum)


def test_refuses_other_parameters():
    with pytest.raises(ValueError, match='bias'):
        ema_update_(nn.Linear(3, 2, bias=False), constant(1.0), 0.5)
