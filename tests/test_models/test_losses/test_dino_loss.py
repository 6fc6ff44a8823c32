import pytest
import torch

from mmvidssl.registry import MODELS
from tests.references import naive
from tests.utils_model import noise


def build(**changes):
    return MODELS.build({'type': 'mmvidssl.DINOLoss', **changes})


def test_equals_the_loop():
    logits, target = noise(4, 3, 2, 6), noise(3, 2, 6, seed=1).softmax(-1)
    loss = build(student_temp=0.2)(logits, target)
    assert loss.shape == (4, 3)
    for v in range(4):
        for t in range(3):
            expected = naive.cross_entropy(logits[v, t], target[t], 0.2)
            torch.testing.assert_close(loss[v, t].double(), expected, rtol=1e-5, atol=1e-5)


def test_gradient():
    logits = noise(2, 2, 2, 4).div(10).requires_grad_()
    target = noise(2, 2, 4, seed=1).softmax(-1)
    probs = (logits / 0.1).softmax(-1)
    build()(logits, target).sum().backward()
    expected = (probs - target).detach() / (0.1 * 2)
    torch.testing.assert_close(logits.grad, expected, atol=1e-5, rtol=1e-5)


def test_autocast_changes_nothing():
    """Sums over tens of thousands of prototypes are no matter for half precision."""
    logits, target = noise(2, 3, 2, 512), (noise(3, 2, 512, seed=1) / 0.04).softmax(-1)
    with torch.autocast('cpu', torch.bfloat16):
        loss = build()(logits, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, build()(logits, target))


def test_refuses_shapes_that_do_not_correspond():
    with pytest.raises(ValueError, match=r'\(2, 3, 2, 6\) and \(2, 3, 6\)'):
        build()(noise(2, 3, 2, 6), noise(2, 3, 6))


def test_refuses_a_temperature_of_zero():
    with pytest.raises(ValueError, match='student_temp must be positive'):
        build(student_temp=0.0)
