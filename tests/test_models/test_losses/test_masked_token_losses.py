"""Losses of masked tokens, against loops and PySlowFast's figure."""

import pytest
import torch

from mmvidssl.registry import MODELS
from tests.references import naive
from tests.references.reference_figures import load_figures
from tests.utils_model import noise

KINDS = (
    'RegressionLoss',
    'NormalizedRegressionLoss',
    'CodeCrossEntropyLoss',
    'SoftCrossEntropyLoss',
)


def build(kind):
    return MODELS.build(dict(type=f'mmvidssl.{kind}'))


def pair(kind, rows=6, width=5):
    target = noise(rows, width, seed=1)
    if kind == 'CodeCrossEntropyLoss':
        target = target.argmax(-1, keepdim=True)
    elif kind == 'SoftCrossEntropyLoss':
        target = target.softmax(-1)
    return noise(rows, width), target


def test_regression_equals_pyslowfast():
    setup, figures = load_figures('maskfeat_small')
    loss = build('RegressionLoss')(figures['pred_masked'], figures['target_masked'])
    assert loss.item() == pytest.approx(setup['loss'], abs=1e-6)
    assert loss.item() == pytest.approx(figures['loss'].item(), abs=1e-6)


def test_regression_equals_the_loop():
    pred, target = pair('RegressionLoss')
    terms = [(pred[m, q] - target[m, q]) ** 2 for m in range(6) for q in range(5)]
    torch.testing.assert_close(build('RegressionLoss')(pred, target), sum(terms) / 30)


def test_normalized_regression_is_a_cosine():
    pred, target = pair('NormalizedRegressionLoss')
    loss = build('NormalizedRegressionLoss')
    cosine = torch.nn.functional.cosine_similarity(pred, target)
    torch.testing.assert_close(loss(pred, target), (2 - 2 * cosine).mean())
    torch.testing.assert_close(loss(3 * pred, 0.5 * target), loss(pred, target))
    assert loss(pred, 2 * pred).item() == pytest.approx(0, abs=1e-6)
    assert loss(pred, -pred).item() == pytest.approx(4)


def test_health_compares_what_the_loss_compares():
    """Of unit vectors and of probabilities, the target itself explains everything."""
    for kind in ('NormalizedRegressionLoss', 'SoftCrossEntropyLoss'):
        head = MODELS.build(dict(type='mmvidssl.MaskFeatHead', loss=dict(type=f'mmvidssl.{kind}')))
        logits = 3 * noise(6, 5)
        target = (
            logits.softmax(-1) if kind.startswith('Soft') else logits / logits.norm(dim=-1)[:, None]
        )
        torch.testing.assert_close(head.activate(logits), target)
    assert build('RegressionLoss')(logits, logits) == 0
    plain = MODELS.build(
        dict(type='mmvidssl.MaskFeatHead', loss=dict(type='mmvidssl.RegressionLoss'))
    )
    assert plain.activate(logits) is logits


def test_codes():
    logits, codes = pair('CodeCrossEntropyLoss')
    one_hot = torch.eye(5)[codes[:, 0]]
    # 0 * log 0 does not occur: the logits are finite.
    expected = naive.cross_entropy(logits, one_hot, 1.0)
    torch.testing.assert_close(build('CodeCrossEntropyLoss')(logits, codes).double(), expected)


def test_soft_labels():
    logits, probs = pair('SoftCrossEntropyLoss')
    expected = naive.cross_entropy(logits, probs, 1.0)
    torch.testing.assert_close(build('SoftCrossEntropyLoss')(logits, probs).double(), expected)


@pytest.mark.parametrize('kind', KINDS)
def test_gradient(kind):
    pred, target = pair(kind, rows=3)
    target = target.double() if target.is_floating_point() else target
    pred.requires_grad_()
    build(kind)(pred, target).backward()
    for m, q in ((0, 0), (2, 4), (1, 3)):
        step = torch.zeros(3, 5)
        step[m, q] = 0.01
        with torch.no_grad():
            rise = build(kind)(pred + step, target) - build(kind)(pred - step, target)
        assert pred.grad[m, q].item() == pytest.approx(rise.item() / 0.02, abs=1e-3)
    assert pred.grad.any()


@pytest.mark.parametrize('kind', KINDS)
def test_float32_inside(kind):
    pred, target = pair(kind, rows=50, width=300)
    expected = build(kind)(pred.bfloat16().float(), target)
    with torch.autocast('cpu', torch.bfloat16):
        loss = build(kind)(pred.bfloat16(), target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize('kind', KINDS)
def test_refuses_shapes_that_do_not_correspond(kind):
    pred, target = pair(kind)
    for wrong in ((pred[:4], target), (pred[:0], target[:0]), (pred[None], target[None])):
        with pytest.raises(ValueError, match=f'{kind} .*out_channels'):
            build(kind)(*wrong)


def test_refuses_the_wrong_kind_of_target():
    with pytest.raises(TypeError, match='torch.float32'):
        build('CodeCrossEntropyLoss')(noise(4, 5), noise(4, 1))
    with pytest.raises(ValueError, match=r'\(4, 5\) and \(4, 1\)'):
        build('SoftCrossEntropyLoss')(noise(4, 5), torch.zeros(4, 1, dtype=torch.long))
