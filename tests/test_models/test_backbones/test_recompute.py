import os
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmvidssl.models.backbones.recompute import recompute, run_block
from mmvidssl.registry import MODELS
from tests.utils_model import noise
from tools.benchmarks.measuring import memory_with_children


class Counted:
    """GELU that counts its calls and watches what it made last."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        made = F.gelu(x)
        self.made = weakref.ref(made.untyped_storage())
        return made


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Linear(4, 5)


@pytest.fixture
def x():
    return noise(2, 3, 4).requires_grad_()


def gradients(y, x, linear):
    return torch.autograd.grad(y.square().sum(), (x, *linear.parameters()), retain_graph=True)


def test_same_to_the_last_bit_and_not_kept(linear, x):
    gelu = Counted()
    y = recompute(linear, gelu, x)
    assert gelu.calls == 1 and gelu.made() is None
    expected = linear(F.gelu(x))
    assert torch.equal(y, expected)
    found = gradients(y, x, linear)
    assert gelu.calls == 2
    for one, other in zip(found, gradients(expected, x, linear), strict=True):
        assert torch.equal(one, other)
    gradients(y, x, linear)  # once more, through the same graph
    assert gelu.calls == 3


def test_kept_where_it_is_off(linear, x):
    gelu = Counted()
    y = recompute(linear, gelu, x, enabled=False)
    assert gelu.made() is not None
    gradients(y, x, linear)
    assert gelu.calls == 1


def test_nothing_to_recompute_without_gradients(linear, x):
    gelu = Counted()
    with torch.no_grad():
        assert not recompute(linear, gelu, x).requires_grad
    assert gelu.calls == 1


def test_second_derivatives(linear, x):
    def penalty(y):
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), (x, linear.weight))

    found, expected = penalty(recompute(linear, F.gelu, x)), penalty(linear(F.gelu(x)))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_only_what_was_made_is_dropped(x):
    """Other tensors that operations keep, of the same size, come back as they are."""
    other = noise(2, 3, 4, seed=5).requires_grad_()
    y = recompute(lambda made: made * other, F.gelu, x)
    found = torch.autograd.grad(y.sum(), (x, other))
    expected = torch.autograd.grad((F.gelu(x) * other).sum(), (x, other))
    for one, exact in zip(found, expected, strict=True):
        assert torch.equal(one, exact)


def test_a_copy_in_another_precision_is_recomputed_in_it(x):
    weight = noise(5, 4).bfloat16().requires_grad_()
    y = recompute(lambda made: made @ weight.t(), lambda source: source.to(torch.bfloat16), x)
    found = torch.autograd.grad(y.float().square().sum(), (x, weight))
    plain = x.bfloat16() @ weight.t()
    expected = torch.autograd.grad(plain.float().square().sum(), (x, weight))
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize('with_cp, expected', [(False, 15), ('cheap', 9), (True, 0)])
def test_what_a_block_keeps(with_cp, expected):
    """Times the size of its input, beside that and its output.

    ``'cheap'`` keeps query, key and value, the attention's result and its projection, and four of
    the hidden layer; with norms, sums and what GELU made of the latter it is 15 or 16.
    """
    layer = MODELS.build(dict(type='mmvidssl.DINOViT', arch='deit-tiny')).layers[0]
    # 34 MB, so that the C library gives the memory of each such tensor back at once.
    x = noise(224, 197, 192).requires_grad_()
    run_block(layer, with_cp, x[:2])
    before = memory_with_children(os.getpid(), 'Pss_Anon')
    out = run_block(layer, with_cp, x)
    kept = memory_with_children(os.getpid(), 'Pss_Anon') - before
    assert kept / (out.nbytes / 2**20) - 1 == pytest.approx(expected, abs=1.2)


@pytest.mark.parametrize('with_cp', ['Cheap', 2, None])
def test_another_with_cp_is_refused(with_cp):
    for name in ('DINOViT', 'MaskFeatViT'):
        with pytest.raises(ValueError, match=repr(with_cp)):
            MODELS.build(dict(type=f'mmvidssl.{name}', arch='deit-tiny', with_cp=with_cp))
