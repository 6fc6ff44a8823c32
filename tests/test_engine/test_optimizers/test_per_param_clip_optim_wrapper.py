"""Clipping by parameter against a loop over the parameters, in every precision."""

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim.optimizer import amp_optimizer_wrapper
from torch import nn

from mmvidssl.engine import clip_grad_norm_per_param_
from mmvidssl.registry import OPTIM_WRAPPERS
from tests.utils_model import noise

MAX_NORM = 3.0
WRAPPERS = [
    'PerParamClipOptimWrapper',
    'PerParamClipAmpOptimWrapper',
    'PerParamClipAutocastOptimWrapper',
]


@pytest.fixture(autouse=True)
def loss_scaling_on_a_cpu(monkeypatch):
    """MMEngine's mixed precision insists on an accelerator; PyTorch's loss scaler does not."""
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(
        amp_optimizer_wrapper, 'GradScaler', lambda **kwargs: torch.amp.GradScaler('cpu', **kwargs)
    )


class Products(nn.Module):
    """Two parameters with gradients of norm 100 and 1 from ``loss(1)``."""

    def __init__(self):
        super().__init__()
        self.large, self.small = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
        self.unused = nn.Parameter(torch.ones(4))

    def loss(self, factor):
        return factor * (50 * self.large.sum() + 0.5 * self.small.sum())


def build(name, model, **changes):
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    cfg = dict(type=f'mmvidssl.{name}', optimizer=optimizer, clip_grad=dict(max_norm=MAX_NORM))
    return OPTIM_WRAPPERS.build({**cfg, **changes})


def test_each_gradient_by_its_own_norm():
    parameters = [nn.Parameter(noise(*shape)) for shape in ((5, 7), (3,), (2, 2))]
    scales = (10.0, 0.1, 2.0)
    for index, (parameter, scale) in enumerate(zip(parameters, scales, strict=True)):
        parameter.grad = scale * noise(*parameter.shape, seed=index)
    gradients = [parameter.grad.clone() for parameter in parameters]
    norm = clip_grad_norm_per_param_(parameters, MAX_NORM)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        factor = MAX_NORM / (gradient.norm() + 1e-6)
        expected = gradient * factor if factor < 1 else gradient
        torch.testing.assert_close(parameter.grad, expected)
    assert torch.equal(parameters[1].grad, gradients[1])  # short enough: untouched
    together = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    torch.testing.assert_close(norm, together)


@pytest.mark.parametrize('name', WRAPPERS)
def test_the_step_takes_clipped_gradients(name):
    model = Products()
    wrapper = build(name, model)
    wrapper.update_params(model.loss(1.0))
    torch.testing.assert_close(model.large.data, torch.full((4,), 1 - MAX_NORM / 2))
    torch.testing.assert_close(model.small.data, torch.full((4,), 0.5))
    assert torch.equal(model.unused.data, torch.ones(4))
    logged = MessageHub.get_current_instance().get_scalar('train/grad_norm').current()
    assert logged == pytest.approx((100**2 + 1) ** 0.5)


@pytest.mark.parametrize('name', WRAPPERS)
def test_accumulated_gradients_are_clipped_once(name):
    model = Products()
    wrapper = build(name, model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 2)
    wrapper.update_params(model.loss(1.0))
    assert torch.equal(model.large.data, torch.ones(4))
    wrapper.update_params(model.loss(9.0))  # the mean of the two factors is 5
    torch.testing.assert_close(model.large.data, torch.full((4,), 1 - MAX_NORM / 2))
    torch.testing.assert_close(model.small.data, torch.full((4,), 1 - MAX_NORM / 2))


def test_loss_scaling_skips_an_infinite_step():
    model = Products()
    wrapper = build('PerParamClipAmpOptimWrapper', model)
    wrapper.update_params(model.loss(float('inf')))
    assert torch.equal(model.small.data, torch.ones(4))
    wrapper.update_params(model.loss(1.0))
    torch.testing.assert_close(model.small.data, torch.full((4,), 0.5))


@pytest.mark.parametrize('name', WRAPPERS)
def test_no_clipping_on_demand(name):
    model = Products()
    build(name, model, clip_grad=None).update_params(model.loss(1.0))
    torch.testing.assert_close(model.large.data, torch.full((4,), -49.0))


@pytest.mark.parametrize(
    'clip_grad', [dict(max_norm=0), dict(max_norm=-1.0), dict(value=1), dict(), dict(type='norm')]
)
def test_refuses(clip_grad):
    with pytest.raises(ValueError, match=r'clip_grad=dict\(max_norm'):
        build('PerParamClipOptimWrapper', Products(), clip_grad=clip_grad)


def test_the_config_is_left_as_it_was():
    clip_grad = dict(max_norm=MAX_NORM)
    build('PerParamClipOptimWrapper', Products(), clip_grad=clip_grad)
    assert clip_grad == dict(max_norm=MAX_NORM)
