"""The backbone against mmpretrain's two: with and without a mask, at its own and at other sizes."""

import pytest
import torch
from mmpretrain.models import VisionTransformer
from mmpretrain.models.selfsup.maskfeat import MaskFeatViT as PeerViT

from mmvidssl.models.utils import resize_mask
from mmvidssl.registry import MODELS
from tests.utils_model import noise

ARCH = dict(embed_dims=24, num_layers=2, num_heads=4, feedforward_channels=48)
CLOSE = dict(atol=1e-5, rtol=1e-5)


def cfg_of(**changes):
    cfg = dict(type='mmvidssl.MaskFeatViT', arch=ARCH, img_size=32, patch_size=8)
    return {**cfg, **changes}


def build(**changes):
    torch.manual_seed(0)
    model = MODELS.build(cfg_of(**changes))
    model.init_weights()
    for seed, parameter in enumerate(model.parameters()):  # biases and norms shall count as well
        parameter.data += 0.1 * noise(*parameter.shape, seed=seed)
    model.eval()
    return model


def peer_of(model, cls=PeerViT, **changes):
    peer = cls(**{key: value for key, value in cfg_of(**changes).items() if key != 'type'})
    peer.eval()
    missing, unexpected = peer.load_state_dict(model.state_dict(), strict=False)
    assert not missing and set(unexpected) <= {'mask_token'}
    return peer


def mask_of(batch, *grid, seed=0):
    return noise(batch, *grid, seed=seed) > 0.3


def gradients(model, output, weights):
    model.zero_grad()
    (output * weights).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize('final_norm', [True, False])
def test_masked_tokens_alone_are_the_same(final_norm):
    model = build(final_norm=final_norm)
    clip, mask = noise(2, 3, 3, 32, 32), mask_of(2, 3, 2, 2)
    tokens, grid = model.forward_tokens(clip, mask)
    masked = model.forward_masked(clip, mask)
    assert masked.grid == grid
    expected = tokens[resize_mask(mask, grid).flatten(1)]
    torch.testing.assert_close(masked.tokens, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('final_norm', [True, False])
def test_masked_images_equal_mmpretrain(final_norm):
    model = build(final_norm=final_norm)
    peer = peer_of(model, final_norm=final_norm)
    images, mask = noise(3, 3, 32, 32), mask_of(3, 1, 4, 4)
    tokens, grid = model.forward_tokens(images, mask)
    expected = peer(images, mask.flatten(1))[:, 1:]
    assert grid == (1, 4, 4)
    torch.testing.assert_close(tokens, expected, **CLOSE)
    weights = noise(*tokens.shape, seed=5)
    ours, theirs = gradients(model, tokens, weights), gradients(peer, expected, weights)
    assert ours.keys() == theirs.keys() >= {'mask_token', 'cls_token', 'pos_embed'}
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-4, rtol=1e-4, msg=name)


def test_clip_is_seen_frame_by_frame():
    model = build()
    clip, mask = noise(2, 3, 3, 32, 32), mask_of(2, 3, 4, 4)
    tokens, grid = model.forward_tokens(clip, mask)
    assert grid == (3, 4, 4) and tokens.shape == (2, 48, 24)
    assert model.out_channels == tokens.shape[-1]
    for t in range(3):
        frame = model.forward_tokens(clip[:, :, t], mask[:, t : t + 1]).tokens
        torch.testing.assert_close(tokens.unflatten(1, (3, 16))[:, t], frame, **CLOSE)


def test_mask_of_a_window_covers_all_its_tokens():
    model = build()
    clip, mask = noise(2, 3, 2, 32, 32), mask_of(2, 1, 2, 2)
    tokens = model.forward_tokens(clip, mask).tokens
    full = resize_mask(mask, (2, 4, 4))
    torch.testing.assert_close(tokens, model.forward_tokens(clip, full).tokens)
    with pytest.raises(ValueError, match=r'\(1, 3, 3\).*\(2, 4, 4\)'):
        model.forward_tokens(clip, mask_of(2, 1, 3, 3))


def test_masked_patches_are_not_seen():
    model = build()
    images, mask = noise(1, 3, 32, 32), mask_of(1, 1, 4, 4)
    pixels = mask.repeat_interleave(8, 2).repeat_interleave(8, 3)
    painted = torch.where(pixels, noise(1, 3, 32, 32, seed=7), images)
    shown = model.forward_tokens(painted, mask).tokens
    assert torch.equal(shown, model.forward_tokens(images, mask).tokens)
    assert not torch.allclose(shown, model.forward_tokens(painted).tokens)


@pytest.mark.parametrize('size', [(32, 32), (16, 48)], ids=['own size', 'other size'])
@pytest.mark.parametrize('with_cls_token', [True, False])
def test_unmasked_tokens_and_forward_equal_mmpretrains_vit(size, with_cls_token):
    options = dict(with_cls_token=with_cls_token, out_type='raw')
    model = build(**options)
    peer = peer_of(model, VisionTransformer, **options)
    images = noise(2, 3, *size)
    (expected,) = peer(images)
    tokens, grid = model.forward_tokens(images)
    assert grid == (1, size[0] // 8, size[1] // 8)
    torch.testing.assert_close(tokens, expected[:, int(with_cls_token) :], **CLOSE)
    torch.testing.assert_close(model(images)[0], expected, **CLOSE)


def test_checkpointing_gives_the_same_gradients():
    models = [build(drop_path_rate=0.3, with_cp=with_cp) for with_cp in (False, True, 'cheap')]
    clip, mask = noise(2, 3, 2, 32, 32), mask_of(2, 2, 4, 4)
    found = []
    for model in models:
        model.train()
        torch.manual_seed(1)
        tokens = model.forward_tokens(clip, mask).tokens
        found.append(gradients(model, tokens, noise(*tokens.shape, seed=5)))
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        for name, gradient in found[0].items():
            torch.testing.assert_close(other[name], gradient)


def test_under_autocast_tokens_stay_close():
    model = build()
    clip, mask = noise(2, 3, 2, 32, 32), mask_of(2, 2, 4, 4)
    with torch.autocast('cpu', torch.bfloat16):
        tokens = model.forward_tokens(clip, mask).tokens
    expected = model.forward_tokens(clip, mask).tokens
    torch.testing.assert_close(tokens.float(), expected, atol=0.1, rtol=0.05)


def test_initial_weights_are_drawn_as_mmpretrains():
    arch = dict(arch='deit-tiny', img_size=32, patch_size=8)
    models = MODELS.build(dict(type='mmvidssl.MaskFeatViT', **arch)), PeerViT(**arch)
    for model in models:
        model.init_weights()
    ours, theirs = (dict(model.named_parameters()) for model in models)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if value.ndim > 1:
            assert ours[name].std().item() == pytest.approx(0.02, rel=0.15), name
            assert value.std().item() == pytest.approx(0.02, rel=0.15), name
        elif not name.startswith('patch_embed'):
            assert torch.equal(ours[name], value), name


def test_pretrained_weights_are_not_initialised_over_and_nothing_is_left_out(tmp_path):
    source = build()
    state = source.state_dict()
    path = tmp_path / 'weights.pth'
    torch.save({f'backbone.{key}': value for key, value in state.items()}, path)
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
    options = {key: value for key, value in cfg_of().items() if key != 'type'}
    ours = MODELS.build(cfg_of(init_cfg=init_cfg))
    plain = VisionTransformer(**options, init_cfg=init_cfg)
    for model in (ours, plain):
        model.init_weights()
        for name, value in model.state_dict().items():
            assert torch.equal(value, state[name]), name


def test_refuses_a_crop_that_patches_do_not_fill():
    with pytest.raises(ValueError, match='8x8 .*30x36.*24x32'):
        build().forward_tokens(noise(1, 3, 1, 30, 36))
