import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mmvidssl.models.utils import Linear, linear
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, dora_cfg, maskfeat_cfg, noise, views

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason='this PyTorch is built without oneDNN'
)


class Operators(TorchDispatchMode):
    """Names of the operators that are called inside."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.name().partition('.')[0])
        return func(*args, **(kwargs or {}))


def derivatives(function, *inputs):
    """Output, gradients, and gradients of the gradients' sum of squares."""
    inputs = [one.detach().requires_grad_() for one in inputs]
    out = function(*inputs)
    weights = noise(*out.shape, seed=9).to(out.dtype)
    first = torch.autograd.grad(out, inputs, weights, create_graph=True)
    squares = sum(gradient.square().sum() for gradient in first)
    return [out, *first, *torch.autograd.grad(squares, inputs[:2])]


@pytest.mark.parametrize('shape', [(3, 7), (2, 3, 16), (4, 1), (1, 1, 5), (5,), (0, 4), (2, 0, 4)])
@pytest.mark.parametrize('with_bias', [True, False])
def test_equals_float64(shape, with_bias):
    inputs = noise(*shape), noise(6, shape[-1], seed=1), *([noise(6, seed=2)] * with_bias)
    exact = derivatives(F.linear, *(one.double() for one in inputs))
    for ours, theirs in zip(derivatives(linear, *inputs), exact, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    'x',
    [
        noise(6, 8)[:, ::2],
        noise(1, 4).expand(6, 4),
        noise(8, 6, 4).transpose(0, 1),
        noise(4, 6).t(),
    ],
    ids=['every other', 'expanded', 'axes swapped', 'transposed'],
)
@pytest.mark.parametrize(
    'bias',
    [None, noise(6)[::2], noise(1).expand(3), noise(1)],
    ids=['no bias', 'strided', 'expanded', 'of one'],
)
@pytest.mark.parametrize(
    'weight', [noise(3, 4, seed=1), noise(3, 8, seed=1)[:, 1::2]], ids=['', 'strided weight']
)
def test_layouts(x, bias, weight):
    torch.testing.assert_close(linear(x, weight, bias), F.linear(x, weight, bias))


@pytest.mark.parametrize('learned', [0, 1])
def test_keeps_what_is_needed(learned):
    """Where input or weight is frozen, the other one may change before the backward pass."""
    inputs = noise(3, 4), noise(2, 4, seed=1)
    changed = inputs[learned].requires_grad_()
    (expected,) = torch.autograd.grad(F.linear(*inputs).sum(), changed)
    out = linear(*inputs)
    with torch.no_grad():
        changed.zero_()
    out.sum().backward()
    torch.testing.assert_close(changed.grad, expected)


@needs_onednn
@pytest.mark.parametrize('with_cp', [False, 'cheap', True])
def test_all_products_of_a_step_of_dora(with_cp):
    model = MODELS.build(dora_cfg(backbone=backbone_cfg(with_cp=with_cp))).train()
    with Operators() as called:
        sum(model.loss(views()).values()).backward()
    assert 'mkldnn::_linear_pointwise' in called.names
    assert not called.names & {'aten::addmm', 'aten::linear', 'aten::mm'}


@pytest.mark.parametrize(
    'cfg',
    [
        maskfeat_cfg()['backbone'],
        dict(type='mmvidssl.MaskFeatViT', arch='deit-tiny'),
        dict(type='mmvidssl.PooledMViT', arch='tiny'),
    ],
    ids=lambda cfg: cfg['type'],
)
def test_layers_that_openmmlab_builds(cfg):
    layers = [part for part in MODELS.build(cfg).modules() if isinstance(part, nn.Linear)]
    assert layers and all(type(layer) is Linear for layer in layers)


@needs_onednn
def test_where_others_are_needed():
    """Other precisions, traces, exports and torch.func take PyTorch's operator."""
    layer = Linear(4, 8)
    for x in (noise(3, 4), noise(3, 4).double(), noise(3, 4).to(torch.bfloat16)):
        with Operators() as called:
            layer.to(x.dtype)(x)
        assert ('mkldnn::_linear_pointwise' in called.names) == (x.dtype == torch.float32)
    layer.float()
    with Operators() as called, torch.autocast('cpu', torch.bfloat16):
        assert layer(noise(3, 4)).dtype == torch.bfloat16
    assert 'mkldnn::_linear_pointwise' not in called.names
    assert 'aten::linear' in str(torch.jit.trace(layer, noise(3, 4)).graph)
    gradient = torch.func.grad(lambda x: layer(x).sum())
    assert torch.equal(torch.func.vmap(gradient)(noise(2, 3, 4)), gradient(noise(2, 3, 4)))
    assert [node.op for node in torch.fx.symbolic_trace(nn.Sequential(layer)).graph.nodes]
    with torch.backends.mkldnn.flags(enabled=False), Operators() as called:
        layer(noise(3, 4))
    assert 'mkldnn::_linear_pointwise' not in called.names
    exported = torch.export.export(layer, (noise(3, 4),))
    assert torch.ops.aten.linear.default in {node.target for node in exported.graph.nodes}


def test_operations_are_counted():
    counts = []
    for function in (linear, F.linear):
        with FlopCounterMode(display=False) as counter:
            inputs = [noise(2, 5, 4).requires_grad_(), noise(3, 4).requires_grad_()]
            function(*inputs).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts == [3 * 2 * 10 * 4 * 3] * 2


def test_another_width_is_an_error_of_pytorch():
    with pytest.raises(RuntimeError, match='shapes cannot be multiplied'):
        linear(noise(3, 5), noise(2, 4))
