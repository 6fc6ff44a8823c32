"""Backbones whose first blocks do not learn."""

import pytest
import torch
from torch import nn

from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, noise

VIT = backbone_cfg(
    arch=dict(embed_dims=24, num_layers=3, num_heads=4, feedforward_channels=48), drop_rate=0.5
)
MVIT = dict(
    arch=dict(embed_dims=8, num_layers=3, num_heads=1, downscale_indices=[1]),
    spatial_size=32,
    temporal_size=4,
    use_abs_pos_embed=True,
)
IMAGES, CLIPS = (2, 3, 32, 32), (2, 3, 4, 32, 32)
BACKBONES = {
    'DINOViT': (VIT, IMAGES),
    'MaskFeatViT': (dict(VIT, type='mmvidssl.MaskFeatViT'), IMAGES),
    'MViT': (dict(MVIT, type='mmvidssl.MViT'), CLIPS),
    'PooledMViT': (dict(MVIT, type='mmvidssl.PooledMViT'), CLIPS),
    'ImageMViT': (dict(MVIT, type='mmvidssl.ImageMViT', out_scales=[0, 1]), IMAGES),
    'MaskFeatMViT': (dict(MVIT, type='mmvidssl.MaskFeatMViT'), CLIPS),
}
EACH = pytest.mark.parametrize('cfg, size', BACKBONES.values(), ids=BACKBONES)


def frozen(cfg, num_blocks):
    torch.manual_seed(0)
    model = MODELS.build(dict(cfg, frozen_stages=num_blocks, drop_path_rate=0.9))
    model.init_weights()
    for parameter in model.parameters():
        parameter.data += 0.1 * noise(*parameter.shape)
    model.eval()
    return model


def blocks_of(model):
    return model.layers if hasattr(model, 'layers') else model.blocks


def tensors(outputs):
    """All tensors of nested outputs."""
    if torch.is_tensor(outputs):
        return [outputs]
    return [tensor for output in outputs if output is not None for tensor in tensors(output)]


@EACH
def test_frozen_blocks_stay_in_evaluation_mode(cfg, size):
    model = frozen(cfg, 2)
    assert model.train() is model and model.eval() is model
    wrapped = nn.Sequential(model).train()
    first, second, third = blocks_of(model)
    parts = [model.patch_embed, first, second, getattr(model, 'drop_after_pos', first)]
    assert not any(module.training for part in parts for module in part.modules())
    assert wrapped.training and all(module.training for module in third.modules())
    assert model.training and all(m.training for n, m in model.named_children() if n[-1] in '1')


@EACH
def test_frozen_parameters_do_not_learn(cfg, size):
    model = frozen(cfg, 2).train()
    sum(out.sum() for out in tensors(model(noise(*size)))).backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None}
    behind = ('layers.2.', 'blocks.2.', 'ln1.', 'norm')
    assert learning == {n for n, _ in model.named_parameters() if n.startswith(behind)}
    assert learning == {n for n, p in model.named_parameters() if p.requires_grad}


@EACH
def test_a_frozen_backbone_is_a_function(cfg, size):
    """All of it frozen: no drop path or dropout, no graph, the numbers of evaluation mode."""
    model, pixels = frozen(cfg, 3), noise(*size)
    expected = tensors(model(pixels))
    outputs = tensors(model.train()(pixels))
    for out, value in zip(outputs, expected, strict=True):
        assert torch.equal(out, value) and not out.requires_grad
    assert not any(p.requires_grad for p in model.parameters())


@EACH
def test_nothing_is_frozen_unless_asked_for(cfg, size):
    model = MODELS.build(cfg)
    assert model.train() is model
    assert all(module.training for module in model.modules())
    names = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert not names


@EACH
def test_too_many_frozen_blocks_are_refused(cfg, size):
    with pytest.raises(ValueError, match='frozen_stages=4, .* 3 blocks'):
        frozen(cfg, 4)
