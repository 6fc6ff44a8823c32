"""What DINOViT does for detection, segmentation, depth and linear probes."""

import pytest
import torch
from torch import nn

from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, noise

SIZE = (32, 48)
GRID = (4, 6)


def build(**changes):
    torch.manual_seed(0)
    arch = dict(embed_dims=24, num_layers=3, num_heads=4, feedforward_channels=48)
    model = MODELS.build(backbone_cfg(arch=arch, **changes))
    model.init_weights()
    for parameter in model.parameters():
        parameter.data += 0.1 * noise(*parameter.shape)
    return model.eval()


def tokens_of(model, frames):
    """The tokens after each block, without any last norm."""
    tokens, _ = model._embed(frames)
    outputs = []
    for layer in model.layers:
        tokens = layer(tokens)
        outputs.append(tokens)
    return outputs


def test_last_norm_on_every_output():
    model = build(out_indices=[0, 1, 2], out_type='raw', norm_outputs=True)
    frames = noise(2, 3, *SIZE)
    for out, tokens in zip(model(frames), tokens_of(model, frames), strict=True):
        assert torch.equal(out, model.ln1(tokens))


def test_last_norm_on_the_last_output_alone():
    model = build(out_indices=[0, 2], out_type='raw')
    frames = noise(2, 3, *SIZE)
    first, last = model(frames)
    tokens = tokens_of(model, frames)
    assert torch.equal(first, tokens[0]) and torch.equal(last, model.ln1(tokens[2]))


def test_no_last_norm():
    model = build(out_indices=[0, 2], out_type='raw', final_norm=False)
    assert not any(name.startswith('ln1.') for name in model.state_dict())
    frames = noise(2, 3, *SIZE)
    assert torch.equal(model(frames)[-1], tokens_of(model, frames)[2])


def test_no_norm_cannot_be_on_every_output():
    with pytest.raises(ValueError, match='norm_outputs.*final_norm=False'):
        build(final_norm=False, norm_outputs=True)


@pytest.mark.parametrize('out_type', ['cls_token', 'featmap', 'raw', 'avg_featmap'])
def test_outputs_beside_each_other(out_type):
    options = dict(out_indices=[1, 2], out_type=out_type, norm_outputs=True)
    frames = noise(2, 3, *SIZE)
    apart = build(**options)(frames)
    (together,) = build(concat_outputs=True, **options)(frames)
    axis = -1 if out_type == 'raw' else 1
    assert together.shape[axis] == 48
    for part, whole in zip(apart, together.chunk(2, dim=axis), strict=True):
        assert torch.equal(part, whole)


def test_class_tokens_of_the_linear_probe():
    """Normed class tokens of the last blocks, the earliest first."""
    options = dict(out_indices=[1, 2], norm_outputs=True, concat_outputs=True)
    model, frames = build(**options), noise(2, 3, *SIZE)
    expected = [model.ln1(tokens)[:, 0] for tokens in tokens_of(model, frames)[1:]]
    assert torch.equal(model(frames)[0], torch.cat(expected, dim=1))


def test_class_token_beside_each_patch():
    model, frames = build(out_type='featmap_and_cls'), noise(2, 3, *SIZE)
    (out,) = model(frames)
    tokens = model.ln1(tokens_of(model, frames)[-1])
    assert out.shape == (2, 48, *GRID)
    for y in range(GRID[0]):
        for x in range(GRID[1]):
            assert torch.equal(out[:, :24, y, x], tokens[:, 1 + y * GRID[1] + x])
            assert torch.equal(out[:, 24:, y, x], tokens[:, 0])


def test_frames_of_any_size():
    model = build(out_type='featmap', pad_frames=True)
    frames = noise(1, 3, 30, 41)
    padded = nn.functional.pad(frames, (0, 7, 0, 2))
    assert torch.equal(model(frames)[0], model(padded)[0])
    with pytest.raises(ValueError, match='patches of 8x8'):
        build(out_type='featmap')(frames)
