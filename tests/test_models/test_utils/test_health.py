"""Each number against its closed form."""

import math

import pytest
import torch

from mmvidssl.models.utils import TrackResult
from mmvidssl.models.utils.health import (
    distillation_health,
    effective_rank,
    entropy,
    health_figures,
    mask_overlap,
    prediction_health,
    second_moment,
    sinkhorn_residual,
    tracking_health,
)
from mmvidssl.models.utils.sinkhorn_knopp import sinkhorn_knopp
from tests.utils_model import noise


def rank_of(features):
    return effective_rank(second_moment(features)).float()


def figures_of(pred, target, tokens):
    return health_figures(prediction_health(pred, target, tokens))


def test_entropy_of_the_two_extremes():
    probs = torch.stack([torch.full((8,), 1 / 8), torch.eye(8)[0]])
    torch.testing.assert_close(entropy(probs), torch.tensor([math.log(8), 0.0]))


def test_entropy_of_a_coin():
    p = 0.2
    expected = -p * math.log(p) - (1 - p) * math.log(1 - p)
    assert entropy(torch.tensor([p, 1 - p, 0.0])).item() == pytest.approx(expected)


@pytest.mark.parametrize('rank', [1, 3, 8])
def test_effective_rank_of_equal_singular_values_is_the_rank(rank):
    directions = torch.linalg.qr(noise(16, rank))[0].T  # (rank, 16), orthonormal
    features = directions.repeat(5, 1)
    assert rank_of(features).item() == pytest.approx(rank, rel=1e-4)
    assert rank_of(1e-3 * features).item() == pytest.approx(rank, rel=1e-4)


def test_effective_rank_of_two_singular_values():
    features = torch.diag(torch.tensor([3.0, 1.0]))
    expected = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert rank_of(features).item() == pytest.approx(expected)


def test_effective_rank_of_a_complete_collapse_is_one_despite_rounding():
    features = noise(1, 24).expand(32, -1) * (1 + 1e-7 * noise(32, 1, seed=1))
    assert rank_of(features).item() == pytest.approx(1, abs=1e-3)


def test_effective_rank_of_nothing_and_of_nan():
    assert rank_of(torch.zeros(4, 3)) == 0
    assert rank_of(torch.tensor([[1.0, 2.0], [torch.nan, 1.0]])).isnan()
    assert rank_of(torch.tensor([[1.0, 2.0], [torch.inf, 1.0]])).isnan()


def test_effective_rank_is_exact_under_autocast():
    features = noise(32, 24).bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        rank = rank_of(features)
    assert rank == rank_of(features.float())


def rectangles():
    """Two objects of 4 and 8 of 16 patches, 2 in common, in each of 2 x 3 frames."""
    masks = torch.zeros(2, 2, 3, 4, 4, dtype=torch.bool)
    masks[0, ..., 0, :] = True
    masks[1, ..., 2:] = True
    return masks


def test_overlap():
    masks = rectangles()
    assert mask_overlap(masks).item() == pytest.approx(2 / 10)
    assert mask_overlap(masks[[0, 0]]) == 1
    assert mask_overlap(torch.stack([masks[0], ~masks[0]])) == 0


def test_overlap_of_three_is_the_mean_over_pairs():
    masks = rectangles()
    three = torch.cat([masks, masks[:1]])  # pairs: 2/10, 1, 2/10
    assert mask_overlap(three).item() == pytest.approx((2 / 10 + 1 + 2 / 10) / 3)


def test_overlap_of_soft_masks():
    masks = torch.tensor([[0.5, 1.0], [1.0, 0.25]]).view(2, 1, 1, 1, 2)
    assert mask_overlap(masks).item() == pytest.approx(0.75 / 2)


def test_overlap_of_one_object_and_of_empty_masks():
    assert mask_overlap(rectangles()[:1]) == 0
    assert mask_overlap(torch.zeros(2, 1, 1, 4, 4)) == 0


def test_sinkhorn_residual():
    fair = torch.full((2, 6, 3), 1 / 3)
    assert sinkhorn_residual(fair).item() == pytest.approx(0, abs=1e-6)
    greedy = torch.zeros(2, 6, 3)
    greedy[0, :, 0] = 1  # all 6 tokens where 2 are due
    greedy[1] = 1 / 3
    assert sinkhorn_residual(greedy).item() == pytest.approx((2 + 0) / 2)


def test_sinkhorn_residual_falls_with_iterations():
    scores = noise(2, 20, 3)
    residuals = [sinkhorn_residual(sinkhorn_knopp(scores, 0.5, n)).item() for n in (1, 3, 100)]
    assert residuals[0] > residuals[1] > residuals[2]
    assert residuals[2] < 1e-4


def test_distillation_and_tracking():
    probs, features = noise(3, 4, 10).softmax(-1), noise(3, 4, 8).requires_grad_()
    measured = distillation_health(probs, features, features, torch.full((1, 10), 2.0))
    health = health_figures(measured)
    expected = (probs * (probs * 10).log()).sum(-1).mean()
    torch.testing.assert_close(health['teacher_kl'], expected)
    assert health['center_norm'].item() == pytest.approx(2 * 10**0.5)
    masks = rectangles()
    health |= tracking_health(TrackResult(masks, masks, features, probs, heads=(0, 1)))
    assert health['mask_coverage'] == (4 + 8) / 2 / 16
    assert not any(value.requires_grad for value in health.values())


def test_predicting_the_mean_explains_nothing_and_the_target_everything():
    target = noise(50, 6)
    tokens = noise(50, 4, seed=1)
    mean = target.mean(dim=0).expand_as(target)
    health = figures_of(mean, target, tokens)
    assert health['explained'].item() == pytest.approx(0, abs=1e-6)
    assert health['spread'].item() == pytest.approx(0, abs=1e-3)
    health = figures_of(target, target, tokens)
    assert health['explained'].item() == pytest.approx(1)
    assert health['spread'].item() == pytest.approx(1)
    half = figures_of((target + mean) / 2, target, tokens)
    assert half['explained'].item() == pytest.approx(0.75)
    assert half['spread'].item() == pytest.approx(0.5)
    assert half['rank_tokens'].item() == pytest.approx(rank_of(tokens).item())


def test_constant_targets_give_a_number():
    health = figures_of(torch.zeros(5, 3), torch.zeros(5, 3), torch.ones(5, 2))
    assert health['explained'].item() == 1


def test_codes_have_an_accuracy():
    codes = torch.tensor([0, 1, 1, 2])[:, None]
    pred = torch.eye(3)[[0, 1, 2, 2]]
    health = figures_of(pred, codes, torch.ones(4, 2))
    assert health['code_accuracy'].item() == 0.75
    assert health['code_majority'].item() == 0.5
    assert 'explained' not in health


@pytest.mark.parametrize('kind', ['distillation', 'features', 'codes'])
def test_halves_of_a_batch_measure_together_what_it_does(kind):
    def measure(rows):
        if kind == 'distillation':
            probs, features = noise(8, 10, seed=1)[rows].softmax(-1), noise(8, 5)[rows]
            return distillation_health(probs, features, features + 1, torch.ones(1, 10))
        target = noise(8, 3, seed=1) if kind == 'features' else torch.arange(8)[:, None] // 3
        return prediction_health(noise(8, 3, seed=2)[rows], target[rows], noise(8, 5)[rows])

    whole, *halves = (measure(rows) for rows in (slice(None), slice(4), slice(4, None)))
    means = {name: (halves[0][name] + halves[1][name]) / 2 for name in whole}
    for name, value in health_figures(whole).items():
        torch.testing.assert_close(health_figures(means)[name], value, msg=name)
    assert health_figures(halves[0]) != health_figures(whole)
