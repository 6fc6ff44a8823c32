"""Our MViT against mmaction2's, whose names and numbers it keeps."""

import pytest
import torch

from mmvidssl.models.backbones import (  # makes mmaction.models importable
    ImageMViT,
    MaskFeatMViT,
    MViT,
    PooledMViT,
)
from tests.utils_model import noise

# isort: split
from mmaction.models.backbones.mvit import MViT as PeerMViT

ARCH = dict(embed_dims=8, num_layers=5, num_heads=1, downscale_indices=[1, 3])
SIZES = dict(spatial_size=32, temporal_size=4, adaptive_kv_stride=(1, 4, 4))

OPTIONS = {
    'default': {},
    'width in attention': dict(dim_mul_in_attention=True),
    'no class token': dict(with_cls_token=False, output_cls_token=False),
    'no relative positions': dict(rel_pos_embed=False),
    'no residual pooling': dict(residual_pooling=False),
    'absolute positions': dict(use_abs_pos_embed=True),
    'all scales': dict(out_scales=[0, 1, 2]),
    'no bias': dict(qkv_bias=False),
}


def randomize_(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def pair(with_cp=False, **options):
    """Ours and mmaction2's with the same weights."""
    cfg = dict(arch=ARCH, **SIZES, **{'dim_mul_in_attention': False, **options})
    ours = randomize_(MViT(with_cp=with_cp, **cfg))
    peer = randomize_(PeerMViT(**cfg))
    assert [*ours.state_dict()] == [*peer.state_dict()]
    return ours, peer


def flat(outputs):
    """All tensors of nested outputs."""
    if torch.is_tensor(outputs):
        return [outputs]
    return [tensor for output in outputs if output is not None for tensor in flat(output)]


def gradients(model, outputs):
    weights = [noise(*output.shape, seed=7 + i) for i, output in enumerate(outputs)]
    sum((o * w).sum() for o, w in zip(outputs, weights, strict=True)).backward()
    return {name: p.grad for name, p in model.named_parameters()}


def compare(ours, peer, clip):
    outputs = [flat(model(clip)) for model in (ours, peer)]
    for found, expected in zip(*outputs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    found, expected = (
        gradients(model, out) for model, out in zip((ours, peer), outputs, strict=True)
    )
    # A bias of all keys changes no attention; its gradient is rounding alone.
    least = 1e-3 * max(
        gradient.abs().max() for gradient in expected.values() if gradient is not None
    )
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None, name
        else:
            scale = gradient.abs().max().clamp_min(least).item()
            torch.testing.assert_close(found[name], gradient, rtol=0, atol=2e-5 * scale, msg=name)


@pytest.mark.parametrize('with_cp', [False, 'cheap', True], ids=['', 'cheap', 'with_cp'])
@pytest.mark.parametrize('name', OPTIONS)
def test_equals_mmaction(name, with_cp):
    ours, peer = pair(with_cp, **OPTIONS[name])
    compare(ours.train(), peer.train(), noise(2, 3, 4, 32, 32))


@pytest.mark.parametrize('shape', [(4, 48, 48), (8, 32, 64), (2, 40, 32)])
def test_equals_mmaction_at_other_sizes(shape):
    compare(*pair(), noise(1, 3, *shape))


def test_keys_and_values_only_where_pooling_reads():
    """3 x 3 places by steps of 4 are 0, 1, 3, 4 and 5 of 8; qkv as a whole is not called."""
    block = pair()[0].blocks[0]
    called = []
    block.attn.qkv.register_forward_hook(lambda *_: called.append(True))
    x, grid = noise(1, 1 + 2 * 64, 8), (2, 8, 8)
    query, key_value = block.attn._project(x, grid)
    assert not called
    assert query[1].shape == (1, 8, 2, 8, 8) and key_value[1].shape == (1, 16, 2, 5, 5)


def test_heads_and_stages_of_the_large_model():
    """Two heads from the start, as in MViTv2-L."""
    arch = dict(embed_dims=16, num_layers=3, num_heads=2, downscale_indices=[1])
    cfg = dict(arch=arch, dim_mul_in_attention=False, **SIZES)
    compare(randomize_(MViT(**cfg)), randomize_(PeerMViT(**cfg)), noise(2, 3, 4, 32, 32))


def test_drop_path_drops_what_mmaction_drops():
    outputs = []
    for model in pair(drop_path_rate=0.5):
        torch.manual_seed(3)
        outputs.append(flat(model.train()(noise(4, 3, 4, 32, 32))))
    for found, expected in zip(*outputs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_checkpointing_drops_the_same_paths_again():
    results = []
    for with_cp in (False, 'cheap', True):
        model = randomize_(MViT(arch=ARCH, drop_path_rate=0.5, with_cp=with_cp, **SIZES)).train()
        torch.manual_seed(3)
        results.append(gradients(model, flat(model(noise(4, 3, 4, 32, 32)))))
    for name, gradient in results[0].items():
        if gradient is not None:
            for again in results[1:]:
                torch.testing.assert_close(again[name], gradient, msg=name)


def test_bfloat16_gradients_point_the_same_way():
    model = randomize_(MViT(arch=ARCH, **SIZES)).train()
    results = []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            outputs = flat(model(noise(2, 3, 4, 32, 32)))
        grads = gradients(model, [output.float() for output in outputs])
        results.append({name: g.clone() for name, g in grads.items() if g is not None})
    full, half = results
    assert full.keys() == half.keys()
    for name, gradient in full.items():
        if gradient.norm() > 1e-3:  # a bias of all keys has none but rounding
            cosine = torch.cosine_similarity(gradient.flatten(), half[name].flatten(), dim=0)
            assert cosine > 0.9, (name, cosine.item())


@pytest.mark.parametrize('with_cp', [False, True])
def test_gradients_twice(with_cp):
    """What is made again must not be used up by the first backward pass."""
    model = randomize_(MViT(arch=ARCH, with_cp=with_cp, **SIZES))
    loss = sum(o.square().sum() for o in flat(model(noise(1, 3, 4, 32, 32))))
    loss.backward(retain_graph=True)
    once = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    loss.backward()
    for name, gradient in once.items():
        parameter = dict(model.named_parameters())[name]
        torch.testing.assert_close(parameter.grad, 2 * gradient, msg=name)


def test_a_trace_can_be_saved(tmp_path):
    model = randomize_(MViT(arch=ARCH, **SIZES)).eval()
    clip = noise(1, 3, 4, 32, 32)
    torch.jit.trace(model, clip, strict=False, check_trace=False).save(tmp_path / 'traced.pt')
    traced = torch.jit.load(tmp_path / 'traced.pt')
    torch.testing.assert_close(flat(traced(clip)), flat(model(clip)))


@pytest.mark.parametrize('arch, millions', [('small', 36), ('base', 53), ('large', 218)])
def test_number_of_parameters(arch, millions):
    """MViTv2-S and L of the paper, with the classifier of Kinetics-400; B for the record."""
    with torch.device('meta'):
        model = MViT(arch=arch)
    classifier = (model.out_channels + 1) * 400
    found = sum(p.numel() for p in model.parameters()) + classifier
    assert round(found / 1e6) == millions


@pytest.mark.parametrize('kind', [MViT, MaskFeatMViT, PooledMViT, ImageMViT])
def test_from_nothing(kind):
    """What ``--cfg-options model.backbone.init_cfg=None`` asks for."""
    options = dict(arch=ARCH, **SIZES)
    assert kind(init_cfg=None, **options).init_cfg == kind(**options).init_cfg


class TestLoading:
    """From the pretraining model, which has one downscaling less, into this one."""

    @pytest.fixture
    def pretrained(self):
        arch = dict(ARCH, downscale_indices=[1], dim_mul_indices=[1, 3])
        return randomize_(MaskFeatMViT(arch=arch, **SIZES), seed=1)

    def test_nothing_is_left_unloaded(self, pretrained):
        model = MViT(arch=ARCH, **SIZES)
        state = pretrained.state_dict()
        missing, unexpected = model.load_state_dict(state, strict=True)
        assert not missing and not unexpected
        loaded = model.state_dict()
        assert torch.equal(loaded['norm2.weight'], state['norm1.weight'])
        resized = []
        for name, value in loaded.items():
            if name.startswith('norm'):
                continue
            if value.shape == state[name].shape:
                assert torch.equal(value, state[name]), name
            else:
                resized.append(name)
                expected = torch.nn.functional.interpolate(
                    state[name].t()[None], size=len(value), mode='linear'
                )[0].t()
                torch.testing.assert_close(value, expected)
        assert resized and all('rel_pos' in name for name in resized)

    def test_the_callers_weights_stay(self, pretrained):
        state = pretrained.state_dict()
        before = {name: value.clone() for name, value in state.items()}
        MViT(arch=ARCH, **SIZES).load_state_dict(state)
        assert state.keys() == before.keys()
        assert all(torch.equal(state[name], before[name]) for name in before)

    def test_init_cfg(self, pretrained, tmp_path, recwarn):
        path = tmp_path / 'backbone.pth'
        weights = {f'backbone.{name}': value for name, value in pretrained.state_dict().items()}
        torch.save(dict(state_dict=weights), path)
        init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
        model = MViT(arch=ARCH, init_cfg=init_cfg, **SIZES)
        model.init_weights()
        name = 'blocks.2.attn.qkv.weight'
        assert torch.equal(model.state_dict()[name], pretrained.state_dict()[name])
        assert torch.equal(model.norm2.weight, pretrained.norm1.weight)
        assert torch.equal(model.cls_token, pretrained.cls_token)
