"""MaskFeat on MViTv2 against the figures of PySlowFast's code."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmvidssl.apis.converters.slowfast import rename_slowfast
from mmvidssl.models.utils import resize_mask
from mmvidssl.registry import MODELS
from tests.references.reference_figures import load_figures, named_noise, named_weights
from tests.utils_model import masked_samples


def released_weights(setup):
    shapes = {key: shape for key, shape in setup['keys'].items() if not key.startswith('hogs.')}
    return named_weights(shapes, setup['salt'])


def build(setup, with_cp):
    arch = dict(
        embed_dims=setup['embed_dim'],
        num_layers=setup['depth'],
        num_heads=1,
        downscale_indices=setup['q_downscale'],
        dim_mul_indices=setup['dim_mul'],
    )
    backbone = dict(
        type='mmvidssl.MaskFeatMViT',
        arch=arch,
        spatial_size=setup['img'],
        temporal_size=setup['frames'],
        adaptive_kv_stride=tuple(setup['kv_stride']),
        with_cp=with_cp,
    )
    dims = setup['embed_dim'] * 2 ** len(setup['dim_mul'])
    return MODELS.build(
        dict(
            type='mmvidssl.MaskFeat',
            backbone=backbone,
            neck=dict(
                type='mmpretrain.LinearNeck', in_channels=dims, out_channels=108, norm_cfg=None
            ),
            target_generator=dict(type='mmvidssl.HOGGenerator'),
            head=dict(type='mmvidssl.MaskFeatHead', loss=dict(type='mmvidssl.RegressionLoss')),
        )
    )


@pytest.fixture(scope='module', params=[False, True], ids=['', 'with_cp'])
def step(request):
    """The forward and backward pass of one training step, by the exact attention kernel.

    The fused kernel of CPUs would be most of the difference (docs/en/reference/performance.md).
    """
    setup, figures = load_figures('maskfeat_small')
    model = build(setup, with_cp=request.param).train()
    weights = rename_slowfast(released_weights(setup)).weights
    model.load_state_dict(weights, strict=True)
    shape = (setup['batch'], 3, setup['frames'], setup['img'], setup['img'])
    clip = named_noise(setup['salt'] + 'clip', shape)
    with sdpa_kernel(SDPBackend.MATH):
        loss = model.loss(dict(clip=clip), masked_samples(*figures['mask']))['loss']
        loss.backward()
    return SimpleNamespace(setup=setup, figures=figures, model=model, clip=clip, loss=loss.item())


def test_prediction(step):
    tokens, grid = step.model.predict(step.clip, step.figures['mask'])
    masked = resize_mask(step.figures['mask'], grid).flatten(1)
    expected = step.figures['pred_masked']
    torch.testing.assert_close(tokens[masked], expected, rtol=0, atol=1e-5)


def test_target(step):
    target = step.model.target_generator(step.clip)
    masked = resize_mask(step.figures['mask'], (4, 4, 4)).flatten(1)
    expected = step.figures['target_masked']
    torch.testing.assert_close(target[masked], expected, rtol=0, atol=1e-5)


def test_loss(step):
    assert step.loss == pytest.approx(step.setup['loss'], abs=1e-5)


def test_gradients(step):
    """The norm of every parameter's gradient to 1e-5 of itself.

    A bias of all keys changes no attention: its gradient is rounding alone, 1e-9.
    """
    numbered = {
        name: torch.full(shape, float(number))
        for number, (name, shape) in enumerate(
            (name, value.shape) for name, value in released_weights(step.setup).items()
        )
    }
    released = list(numbered)
    parameters = dict(step.model.named_parameters())
    compared = set()
    for name, number in rename_slowfast(numbered).weights.items():
        key = released[int(number.flatten()[0])]
        expected = step.setup['grad_norms'][key]
        found = parameters[name].grad.norm().item()
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-7), name
        compared.add(key)
    assert compared == set(step.setup['grad_norms'])
    assert len(parameters) == len(compared)
