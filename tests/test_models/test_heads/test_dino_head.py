import pytest
import torch

from mmvidssl.registry import MODELS
from tests.references import naive
from tests.utils_model import noise

T, B, K = 3, 2, 6


def build():
    return MODELS.build(dict(type='mmvidssl.DINOHead', loss=dict(type='mmvidssl.DINOLoss')))


def outputs(num_globals, num_locals):
    return (
        noise(num_globals, T, B, K) if num_globals > 1 else None,
        noise(num_locals, T, B, K, seed=1) if num_locals else None,
        noise(num_globals, T, B, K, seed=2).softmax(-1),
    )


@pytest.mark.parametrize('num_globals, num_locals', [(1, 3), (2, 3), (2, 0), (3, 1)])
def test_equals_the_loop_over_pairs(num_globals, num_locals):
    student_views, student_locals, targets = outputs(num_globals, num_locals)
    losses = build().loss(student_views, student_locals, targets)
    seen = [None] * num_globals if student_views is None else list(student_views)
    all_views = seen + ([] if student_locals is None else list(student_locals))
    expected = naive.dino_loss(all_views, list(targets))
    torch.testing.assert_close(sum(losses.values()).double(), expected, atol=1e-5, rtol=1e-5)
    assert ('loss_global' in losses) is (num_globals > 1)
    assert ('loss_local' in losses) is (num_locals > 0)


def test_no_view_is_compared_with_itself():
    student_views, _, targets = outputs(2, 0)
    student_views.requires_grad_()

    def gradient(of_targets):
        loss = build().loss(student_views, None, of_targets)['loss_global']
        return torch.autograd.grad(loss, student_views)[0]

    before, after = gradient(targets), gradient(torch.stack((targets[0].flip(-1), targets[1])))
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])
