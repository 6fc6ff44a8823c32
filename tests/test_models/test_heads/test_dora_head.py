import pytest
import torch

from mmvidssl.registry import MODELS
from tests.references import naive
from tests.utils_model import noise

NUM_OBJECTS, NUM_LOCALS, T, B, K = 3, 4, 3, 2, 6


def build(**changes):
    return MODELS.build(
        {'type': 'mmvidssl.DoRAHead', 'loss': dict(type='mmvidssl.DINOLoss'), **changes}
    )


def outputs():
    objects, local_views = noise(NUM_OBJECTS, T, B, K), noise(NUM_LOCALS, T, B, K, seed=1)
    return objects, local_views, noise(T, B, K, seed=2).softmax(-1)


@pytest.mark.parametrize(
    'options, oracle',
    [
        (dict(skip_first_local=True, carry_over=True), naive.dora_released_loss),
        (dict(), naive.dora_paper_loss),
    ],
    ids=['released code', 'paper'],
)
def test_equals_the_loop(options, oracle):
    losses = build(**options).loss(*outputs())
    assert set(losses) == {'loss_object', 'loss_local'}
    total = sum(losses.values()).double()
    torch.testing.assert_close(total, oracle(*outputs()), atol=1e-5, rtol=1e-5)


def test_object_weights_of_the_released_code():
    weights = build(carry_over=True).object_weights(num_objects=3, clip_len=8)
    expected = 8 * torch.tensor([0.142578, 0.140625, 0.125])
    torch.testing.assert_close(weights, expected, atol=1e-5, rtol=0)
    assert build().object_weights(3, 8).tolist() == [1, 1, 1]


def test_skipping_leaves_the_first_local_crop_out():
    objects, local_views, target = outputs()
    other = local_views.clone()
    other[0] += 1
    other[0, ..., 0] += 1
    skipping, counting = build(skip_first_local=True), build()
    arguments = (objects, local_views, target), (objects, other, target)
    first, second = (skipping.loss(*a)['loss_local'] for a in arguments)
    assert torch.equal(first, second)
    first, second = (counting.loss(*a)['loss_local'] for a in arguments)
    assert not torch.allclose(first, second)


def test_without_local_crops():
    objects, _, target = outputs()
    assert set(build(skip_first_local=True).loss(objects, None, target)) == {'loss_object'}


def test_weights_scale_their_loss():
    plain = build(object_weight=1.0, local_weight=1.0).loss(*outputs())
    scaled = build(object_weight=2.0, local_weight=0.25).loss(*outputs())
    torch.testing.assert_close(scaled['loss_object'], 2 * plain['loss_object'])
    torch.testing.assert_close(scaled['loss_local'], 0.25 * plain['loss_local'])


def test_skipping_needs_two_local_crops():
    objects, local_views, target = outputs()
    with pytest.raises(ValueError, match='needs at least 2, got 1'):
        build(skip_first_local=True).loss(objects, local_views[:1], target)
