"""The algorithm against its naive version: predict everything, then select."""

import pytest
import torch
from torch import nn

from mmvidssl.models.utils import resize_mask
from mmvidssl.registry import MODELS
from tests.utils_model import masked_samples, maskfeat_cfg, noise

WINDOW = (2, 2, 2)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = MODELS.build(maskfeat_cfg())
    model.init_weights()
    return model


@pytest.fixture
def clip():
    return noise(2, 3, 4, 32, 32)


@pytest.fixture
def masks():
    masks = torch.zeros(2, *WINDOW, dtype=torch.bool)
    masks[0, 1, :, 0] = masks[1, 0, 0] = masks[1, 1, 1, 1] = True
    return masks


def test_only_masked_tokens_are_compared(model, clip, masks):
    (loss,) = model.loss(dict(clip=clip), masked_samples(*masks)).values()
    tokens, grid = model.backbone.forward_tokens(clip, masks)
    assert grid == (2, 4, 4)
    pred = model.neck(tokens.flatten(0, 1))[0].unflatten(0, (2, -1))
    target = model.target_generator(clip)
    errors = (pred - target).square().mean(dim=-1)
    masked = resize_mask(masks, grid).flatten(1)
    assert errors[masked].mean().item() == pytest.approx(loss.item(), rel=1e-5)


def test_what_is_masked_is_not_seen(model, clip, masks):
    model.eval()
    other = clip.clone()
    # Where everything is masked, pixels do not matter.
    everything = torch.ones(2, *WINDOW, dtype=torch.bool)
    other += noise(*clip.shape, seed=3)
    first, second = (model.predict(c, everything).tokens for c in (clip, other))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)
    assert not torch.allclose(*(model.predict(c, masks).tokens for c in (clip, other)), atol=1e-4)


def test_every_parameter_gets_a_gradient(model, clip, masks):
    model.loss(dict(clip=clip), masked_samples(*masks))['loss'].backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []


def test_modes(model, clip, masks):
    inputs, samples = dict(clip=clip), masked_samples(*masks)
    features = model(inputs, mode='tensor')
    assert features.shape == (2, 2, 16) and not features.requires_grad
    tokens = model.backbone.forward_tokens(clip).tokens
    torch.testing.assert_close(features[:, 1], tokens[:, 16:].mean(dim=1))
    assert model(inputs, samples, mode='predict').tokens.shape == (2, 32, 108)
    assert model(inputs, samples, mode='loss').keys() == {'loss'}
    with pytest.raises(ValueError, match="mode .* 'all'"):
        model(inputs, mode='all')


def test_measuring_changes_nothing(model, clip, masks):
    samples = masked_samples(*masks)
    expected = model.loss(dict(clip=clip), samples)['loss']
    assert model.health == {}
    model.measure_health = True
    assert torch.equal(model.loss(dict(clip=clip), samples)['loss'], expected)
    assert model.health.keys() == {'explained', 'spread', 'rank_tokens'}
    assert all(value.shape == () for value in model.health.values())


def test_masks_are_required(model, clip):
    with pytest.raises(ValueError, match='CubeMask'):
        model.loss(dict(clip=clip), None)
    nothing = torch.zeros(2, *WINDOW, dtype=torch.bool)
    with pytest.raises(ValueError, match='masks nothing'):
        model.loss(dict(clip=clip), masked_samples(*nothing))


def test_targets_must_be_as_many_as_tokens(clip, masks):
    cfg = maskfeat_cfg()
    cfg['target_generator'].update(patch_size=16, cell_size=8)
    with pytest.raises(ValueError, match='8 targets .* 32 '):
        MODELS.build(cfg).loss(dict(clip=clip), masked_samples(*masks))


@pytest.mark.parametrize(
    'changes, message',
    [(dict(in_channels=8), 'in_channels=8, .*=16'), (dict(out_channels=27), '=27, .*=108')],
)
def test_parts_must_fit(changes, message):
    cfg = maskfeat_cfg()
    cfg['neck'].update(changes)
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg)


def test_a_fixed_target_has_no_teacher(model):
    with pytest.raises(TypeError, match='HOGGenerator has no teacher'):
        model.update_teacher(0.1)


def test_a_few_steps_fit_a_batch(model, clip, masks):
    """Overfitting: from the mean target to well below it."""
    model.measure_health = True
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    samples = masked_samples(*masks)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(dict(clip=clip), samples)['loss'].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert model.health['explained'] > 0.2
