"""Features that a frozen backbone puts into data samples, against the backbones' own outputs."""

import pytest
import torch
from mmengine.structures import BaseDataElement

from mmvidssl.models import FrozenEncoder
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, maskfeat_cfg

PATCH = 8


def pixels(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)


def encoder(**options) -> FrozenEncoder:
    torch.manual_seed(0)
    options.setdefault('backbone', backbone_cfg(pad_frames=True))
    model = MODELS.build(dict(type='mmvidssl.FrozenEncoder', **options)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model


def predict(model, *inputs):
    batch = dict(inputs=list(inputs), data_samples=[BaseDataElement() for _ in inputs])
    return model.test_step(batch)


@torch.no_grad()
def test_tokens_keys_and_attention_of_frames_are_the_backbones():
    mean, std = [100.0, 110.0, 120.0], [50.0, 60.0, 70.0]
    model = encoder(mean=mean, std=std, pool='none', keys=True, attention=True, max_pixels=2500)
    frames = pixels(5, 3, 32, 48)
    (sample,) = predict(model, frames)  # one frame at a time
    inputs = (frames - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    for i, frame in enumerate(inputs):
        expected = model.backbone.forward_tokens(frame[None, :, None])
        grid = 32 // PATCH, 48 // PATCH
        torch.testing.assert_close(sample.features[i], expected.patches[0].unflatten(0, grid))
        keys = expected.key[0, 0, :, 1:].transpose(0, 1).flatten(1).unflatten(0, grid)
        torch.testing.assert_close(sample.get('keys')[i], keys)
        attention = expected.class_attention[0].unflatten(1, grid)
        torch.testing.assert_close(sample.attention[i], attention)


@torch.no_grad()
def test_samples_of_a_batch_are_alike_alone_and_together():
    """Whether they are of one size, which runs them at once, or not."""
    model = encoder()
    same, other = pixels(3, 32, 32), pixels(2, 3, 40, 32, seed=1)
    alone = [predict(model, part)[0].features for part in (same, other)]
    assert alone[0].shape == (24,) and alone[1].shape == (2, 24)
    for inputs in ((same, same[None]), (same, other)):
        first, second = predict(model, *inputs)
        torch.testing.assert_close(first.features, alone[0])
        expected = alone[1] if inputs[1] is other else alone[0][None]
        torch.testing.assert_close(second.features, expected)
    turned = encoder(bgr_to_rgb=True)
    torch.testing.assert_close(predict(turned, same.flip(0))[0].features, alone[0])
    small = predict(encoder(pool='none'), pixels(3, 30, 30))[0]
    assert small.features.shape == (4, 4, 24)  # padded


@torch.no_grad()
def test_clips_have_a_grid_in_time():
    model = encoder(backbone=maskfeat_cfg()['backbone'], pool='none', max_pixels=1)
    clip = pixels(3, 4, 32, 32)
    assert predict(model, clip)[0].features.shape == (2, 4, 4, 16)
    several = torch.stack([clip, pixels(3, 4, 32, 32, seed=1)])
    (sample,) = predict(model, several)
    assert sample.features.shape == (2, 2, 4, 4, 16)
    mean, std = (getattr(model, name).view(3, 1, 1, 1) for name in ('mean', 'std'))
    expected = model.backbone.forward_tokens((several - mean) / std).tokens
    torch.testing.assert_close(sample.features.flatten(1, 3), expected)


def test_what_it_cannot_take_is_refused():
    with pytest.raises(ValueError, match='MViT'):
        encoder(backbone=maskfeat_cfg()['backbone'], keys=True)
    model = encoder()
    for wrong in (pixels(32, 32, 3), pixels(3, 3, 4, 32, 32), pixels(3, 32, 32).float() / 255):
        with pytest.raises(ValueError, match='DINOViT'):
            predict(model, wrong)
    with pytest.raises(ValueError, match='loss'):
        model(pixels(1, 3, 32, 32), mode='loss')


def test_its_only_weights_are_the_backbones():
    assert all(name.startswith('backbone.') for name in encoder().state_dict())
