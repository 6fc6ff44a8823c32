import pytest
import torch

from mmvidssl.models.utils import sinkhorn_knopp
from tests.references import naive
from tests.utils_model import noise


@pytest.mark.parametrize('epsilon, num_iters', [(0.05, 1), (0.05, 30), (0.5, 3)])
def test_equals_the_loop(epsilon, num_iters):
    scores = noise(2, 10, 3).div(5)
    plan = sinkhorn_knopp(scores, epsilon, num_iters)
    for sample, of_sample in zip(scores, plan, strict=True):
        expected = naive.sinkhorn_knopp(sample, epsilon, num_iters)
        torch.testing.assert_close(of_sample.double(), expected, atol=1e-5, rtol=1e-4)


def test_marginals():
    plan = sinkhorn_knopp(noise(4, 12, 3).div(5), num_iters=200)
    torch.testing.assert_close(plan.sum(-1), torch.ones(4, 12))
    torch.testing.assert_close(plan.sum(-2), torch.full((4, 3), 12 / 3), atol=1e-3, rtol=0)
    assert (plan >= 0).all()


def test_small_epsilon_separates_what_large_epsilon_mixes():
    scores = noise(12, 3)
    assert sinkhorn_knopp(scores, 0.01, 200).amax(-1).mean() > 0.9
    assert sinkhorn_knopp(scores, 100.0, 200).amax(-1).mean() < 0.4


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_huge_scores_do_not_overflow(dtype):
    plan = sinkhorn_knopp((noise(12, 3) * 1e4).to(dtype))
    assert plan.dtype == torch.float32
    assert plan.isfinite().all()
    torch.testing.assert_close(plan.sum(-1), torch.ones(12))


def test_autocast_changes_nothing():
    scores = noise(12, 3)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(sinkhorn_knopp(scores), sinkhorn_knopp(scores.clone()))
        inside = sinkhorn_knopp(scores)
    assert torch.equal(inside, sinkhorn_knopp(scores))


def test_has_no_gradient_and_leaves_its_argument():
    scores = noise(12, 3).requires_grad_()
    before = scores.detach().clone()
    assert not sinkhorn_knopp(scores).requires_grad
    assert torch.equal(scores, before)


@pytest.mark.parametrize('wrong', [dict(epsilon=0.0), dict(epsilon=-1.0), dict(num_iters=0)])
def test_refuses(wrong):
    with pytest.raises(ValueError, match='epsilon > 0 and num_iters >= 1'):
        sinkhorn_knopp(noise(4, 2), **wrong)
