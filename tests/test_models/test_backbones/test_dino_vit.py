import pytest
import torch
from mmpretrain.models import VisionTransformer
from torch.utils.flop_counter import FlopCounterMode

from mmvidssl.models.backbones import DINOViT
from mmvidssl.models.utils import clip_to_frames
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, noise

GRID = (4, 4)


def build(seed=0, **changes):
    torch.manual_seed(seed)
    model = MODELS.build(backbone_cfg(**changes))
    model.init_weights()
    for parameter in model.parameters():  # biases and norms shall count as well
        parameter.data += 0.1 * noise(*parameter.shape, seed=seed)
    model.eval()
    return model


def peer_of(model, **changes):
    cfg = backbone_cfg(**changes)
    del cfg['type']
    cfg.pop('interpolate_offset', None)
    peer = VisionTransformer(**cfg)
    peer.eval()
    missing, unexpected = peer.load_state_dict(model.state_dict(), strict=False)
    assert not missing and not unexpected
    return peer


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(out_type='featmap'),
        dict(out_type='avg_featmap'),
        dict(out_indices=[0, 1], out_type='raw', final_norm=False),
    ],
    ids=['cls_token', 'featmap', 'avg_featmap', 'blocks'],
)
@pytest.mark.parametrize('size', [(32, 32), (16, 24)], ids=['own size', 'other size'])
def test_features_are_those_of_mmpretrain(options, size):
    model = build(**options)
    frames = noise(2, 3, *size)
    ours, theirs = model(frames), peer_of(model, **options)(frames)
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(final_norm=False, layer_scale_init_value=0.5, qkv_bias=False),
        dict(drop_path_rate=0.5, layer_cfgs=dict(ffn_type='swiglu_fused')),
    ],
    ids=['', 'layer scale', 'drop path, swiglu'],
)
def test_the_class_token_alone_is_that_of_mmpretrain(options):
    """Its gradients are the same too, and the last block's drop path draws the same."""
    model = build(**options)
    peer = peer_of(model, **options)
    frames, direction = noise(4, 3, 16, 24), noise(4, model.embed_dims, seed=1)
    for net in (model, peer):
        net.train()
    torch.manual_seed(0)
    ours = model.forward_class_token(frames)
    torch.manual_seed(0)
    (theirs,) = peer(frames)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for out in (ours, theirs):
        out.backward(direction)
    for (name, one), other in zip(model.named_parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize(
    'options', [dict(out_indices=[0]), dict(concat_outputs=True), dict(out_type='featmap')]
)
def test_the_class_token_of_other_outputs(options):
    model = build(**{'out_indices': [0, 1], **options})
    frames = noise(2, 3, 32, 32)
    assert torch.equal(model.forward_class_token(frames), model(frames)[-1])


def test_the_class_token_of_a_forward_of_ones_own():
    class Doubled(DINOViT):
        def forward(self, frames):
            return tuple(2 * out for out in super().forward(frames))

    model, frames = build(), noise(2, 3, 32, 32)
    expected = 2 * model(frames)[-1]
    model.__class__ = Doubled
    assert torch.equal(model.forward_class_token(frames), expected)


def test_the_class_token_alone_takes_less():
    """Query, projection and MLP of one token of 17, 24 numbers wide and 48 in the MLP."""
    model, frames = build(), noise(2, 3, 32, 32)
    work = []
    for function in (model.forward, model.forward_class_token):
        with FlopCounterMode(display=False) as counter:
            function(frames)
        work.append(counter.get_total_flops())
    assert work[0] - work[1] == 2 * 2 * 16 * 24 * (24 + 24 + 2 * 48)


def test_the_class_token_of_adapted_weights():
    """An adapter's weights are no matrix that could be split."""
    model = build()
    for layer in model.layers:
        layer.attn.qkv = torch.nn.Sequential(layer.attn.qkv, torch.nn.Hardtanh())
    frames = noise(2, 3, 32, 32)
    torch.testing.assert_close(model.forward_class_token(frames), model(frames)[0])


def test_loads_weights_of_mmpretrain():
    model = build()
    missing, unexpected = model.load_state_dict(peer_of(model).state_dict(), strict=False)
    assert not missing and not unexpected


def attention_of(model, frame, block):
    """Query, key ``(heads, 1 + N, d)`` and the whole attention of one frame, and its tokens."""
    tokens = model.patch_embed(frame[None])[0]
    tokens = torch.cat((model.cls_token, tokens), dim=1) + model.pos_embed
    for index, layer in enumerate(model.layers):
        if index == block:
            heads = model.num_heads
            qkv = layer.attn.qkv(layer.ln1(tokens))[0].view(tokens.shape[1], 3, heads, -1)
            query, key = qkv[:, 0].transpose(0, 1), qkv[:, 1].transpose(0, 1)
        tokens = layer(tokens)
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    return query, key, scores.softmax(-1), model.ln1(tokens)[0]


@pytest.mark.parametrize('qkv_bias', [True, False])
@pytest.mark.parametrize('block', [-1, 0])
def test_tokens_equal_whole_attention_frame_by_frame(block, qkv_bias):
    model = build(qkv_bias=qkv_bias)
    clip = noise(2, 3, 3, 32, 32)
    tokens = model.forward_tokens(clip, block=block)
    assert tokens.grid == GRID
    for b in range(2):
        for t in range(3):
            query, key, attention, out = attention_of(model, clip[b, :, t], block % 2)
            torch.testing.assert_close(tokens.class_token[t, b], out[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(tokens.key[t, b], key, atol=1e-5, rtol=1e-5)
            if t == 0:
                torch.testing.assert_close(tokens.query[b], query, atol=1e-5, rtol=1e-5)
                torch.testing.assert_close(tokens.patches[b], out[1:], atol=1e-5, rtol=1e-5)
                torch.testing.assert_close(
                    tokens.class_attention[b], attention[:, 0, 1:], atol=1e-5, rtol=1e-5
                )


def test_class_tokens_are_those_of_forward():
    model = build()
    clip = noise(2, 3, 3, 32, 32)
    features = model(clip_to_frames(clip))[-1].unflatten(0, (3, 2))
    torch.testing.assert_close(model.forward_tokens(clip).class_token, features)


def test_offset_changes_other_grids_only():
    plain, shifted = build(), build(interpolate_offset=0.1)
    frames = noise(2, 3, 32, 32)
    assert torch.equal(plain(frames)[0], shifted(frames)[0])
    small = noise(2, 3, 16, 16)
    assert not torch.allclose(plain(small)[0], shifted(small)[0])


def test_refuses_a_crop_that_patches_do_not_fill():
    model = build()
    message = r'patches of 8x8 pixels.*30x36.*crop size to 24x32'
    with pytest.raises(ValueError, match=message):
        model(noise(1, 3, 30, 36))
    with pytest.raises(ValueError, match=message):
        model.forward_tokens(noise(1, 3, 1, 30, 36))
    with pytest.raises(IndexError):
        model.forward_tokens(noise(1, 3, 1, 32, 32), block=2)


def test_refuses_to_do_without_a_class_token():
    with pytest.raises(ValueError, match='with_cls_token=False'):
        MODELS.build(backbone_cfg(with_cls_token=False, out_type='featmap'))
    MODELS.build(backbone_cfg(with_cls_token=True))


def test_initial_weights():
    model = MODELS.build(backbone_cfg(arch='deit-tiny'))
    model.init_weights()
    for weight in (model.layers[0].attn.qkv.weight, model.layers[3].ffn.layers[1].weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.pos_embed.std().item() == pytest.approx(0.02, rel=0.1)
    assert 0.01 < model.cls_token.std() < 0.03
    assert not model.layers[0].attn.qkv.bias.any()


def test_pretrained_weights_are_not_initialised_over(tmp_path):
    source = build(seed=3)
    path = tmp_path / 'weights.pth'
    torch.save({f'backbone.{k}': v for k, v in source.state_dict().items()}, path)
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
    model = MODELS.build(backbone_cfg(init_cfg=init_cfg))
    model.init_weights()
    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
