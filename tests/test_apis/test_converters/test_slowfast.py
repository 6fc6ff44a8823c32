"""Released checkpoints of MaskFeat become ours, and nothing else does."""

import re

import pytest
import torch
from mmengine.config import Config
from mmpretrain.models import VisionTransformer

from mmvidssl.apis import convert_slowfast, init_model, load_weights, publish_model
from mmvidssl.apis.converters.slowfast import rename_slowfast
from mmvidssl.registry import MODELS
from tests.references.reference_figures import load_figures, named_noise, named_weights
from tests.references.slowfast_shapes import mvit_shapes, vit_shapes

SETUP, FIGURES = load_figures('maskfeat_small')
SMALL = dict(width=96, depth=16, heads=1, widened=(1, 3, 14))
LARGE = dict(width=144, depth=48, heads=2, widened=(2, 8, 44))
BASE_VIT, LARGE_VIT = dict(width=768, depth=12), dict(width=1024, depth=24)
FREE = dict(norm_cfg=None)


@pytest.fixture
def convert(tmp_path):
    """Saves what it is given as a released checkpoint and converts that."""

    def run(content, **options):
        torch.save(content, tmp_path / 'released.pyth')
        return convert_slowfast(tmp_path / 'released.pyth', tmp_path / 'ours.pth', **options)

    return run


def meta_weights(shapes):
    return {name: torch.empty(shape, device='meta') for name, shape in shapes.items()}


def released_checkpoint(weights, **changes):
    """What PySlowFast saves, with all that surrounds the weights."""
    hog = {key: torch.ones(shape) for key, shape in SETUP['keys'].items() if 'hogs' in key}
    content = dict(
        epoch=299,
        model_state={**weights, **hog},
        optimizer_state=dict(state={}, param_groups=[dict(lr=1e-6, params=[0])]),
        cfg='MVIT:\n  DEPTH: 4\n',
        scaler_state=dict(scale=65536.0),
    )
    return {**content, **changes}


def golden_weights(**changes):
    shapes = {key: shape for key, shape in SETUP['keys'].items() if 'hogs' not in key}
    return named_weights(shapes, SETUP['salt']) | changes


def golden_model():
    arch = dict(
        embed_dims=SETUP['embed_dim'],
        num_layers=SETUP['depth'],
        num_heads=1,
        downscale_indices=SETUP['q_downscale'],
        dim_mul_indices=SETUP['dim_mul'],
    )
    return dict(
        type='mmvidssl.MaskFeat',
        backbone=dict(
            type='mmvidssl.MaskFeatMViT',
            arch=arch,
            spatial_size=SETUP['img'],
            temporal_size=SETUP['frames'],
            adaptive_kv_stride=SETUP['kv_stride'],
        ),
        neck=dict(type='mmpretrain.LinearNeck', in_channels=192, out_channels=108, **FREE),
        target_generator=dict(type='mmvidssl.HOGGenerator'),
        head=dict(type='mmvidssl.MaskFeatHead', loss=dict(type='mmvidssl.RegressionLoss')),
    )


def vit_model(arch):
    """MaskFeat on images, and an image classifier in mmpretrain."""
    dims = VisionTransformer.arch_zoo[arch]['embed_dims']
    maskfeat = dict(
        golden_model(),
        backbone=dict(type='mmvidssl.MaskFeatViT', arch=arch),
        neck=dict(type='mmpretrain.LinearNeck', in_channels=dims, out_channels=108, **FREE),
    )
    backbone = dict(type='VisionTransformer', arch=arch, out_type='avg_featmap', final_norm=False)
    head = dict(type='LinearClsHead', num_classes=1000, in_channels=dims)
    return maskfeat, dict(
        type='ImageClassifier', _scope_='mmpretrain', backbone=backbone, head=head
    )


def mvit_model(arch):
    """MaskFeat on videos, and a recognizer in mmaction2."""
    dims = dict(small=768, large=1152)[arch]
    maskfeat = dict(
        golden_model(),
        backbone=dict(type='mmvidssl.MaskFeatMViT', arch=arch),
        neck=dict(type='mmpretrain.LinearNeck', in_channels=dims, out_channels=108, **FREE),
    )
    backbone = dict(type='MViT', arch=arch, dim_mul_in_attention=False)
    head = dict(type='MViTHead', in_channels=dims, num_classes=400)
    return maskfeat, dict(type='Recognizer3D', _scope_='mmaction', backbone=backbone, cls_head=head)


def test_shapes_are_those_of_the_released_code():
    shapes = mvit_shapes(
        width=SETUP['embed_dim'],
        depth=SETUP['depth'],
        heads=1,
        widened=SETUP['dim_mul'],
        pooled=SETUP['q_downscale'],
        kv_stride=SETUP['kv_stride'][-1],
        grid=(SETUP['frames'] // 2, SETUP['img'] // 4),
    )
    assert shapes == SETUP['keys']


@pytest.mark.parametrize(
    ('shapes', 'cfg'),
    [
        (mvit_shapes(**SMALL, pooled=(1, 3)), mvit_model('small')[0]),
        (mvit_shapes(**SMALL, pooled=(1, 3, 14), num_classes=400), mvit_model('small')[1]),
        (mvit_shapes(**LARGE, pooled=(2, 8)), mvit_model('large')[0]),
        (mvit_shapes(**LARGE, pooled=(2, 8, 44), num_classes=400), mvit_model('large')[1]),
        (vit_shapes(**BASE_VIT), vit_model('base')[0]),
        (vit_shapes(**BASE_VIT, num_classes=1000), vit_model('base')[1]),
        (vit_shapes(**LARGE_VIT), vit_model('large')[0]),
        (vit_shapes(**LARGE_VIT, num_classes=1000), vit_model('large')[1]),
    ],
    ids=[
        *('k400_MVIT_S_PT', 'k400_MVIT_S_FT', 'k400_MVIT_L_PT', 'k400_MVIT_L_FT'),
        *('in1k_VIT_B_PT', 'in1k_VIT_B_FT', 'in1k_VIT_L_PT', 'in1k_VIT_L_FT'),
    ],
)
def test_released_models_fit_ours_to_the_last_weight(shapes, cfg):
    with torch.device('meta'):
        model = MODELS.build(cfg)
    found = rename_slowfast(meta_weights(shapes))
    assert len(found.weights) + len(found.dropped) == len(shapes)
    model.load_state_dict(found.weights, strict=True, assign=True)
    assert ('MaskFeat' in found.kind) is (cfg['type'] == 'mmvidssl.MaskFeat')


@pytest.mark.parametrize('size', [SMALL, LARGE], ids=['small', 'large'])
@pytest.mark.parametrize('tuned', [False, True])
def test_architecture_is_read_from_the_shapes(size, tuned):
    widened = size['widened']
    pooled = widened if tuned else widened[:-1]
    shapes = mvit_shapes(**size, pooled=pooled, num_classes=400 if tuned else None)
    expected = dict(
        embed_dims=size['width'],
        num_layers=size['depth'],
        num_heads=size['heads'],
        downscale_indices=list(pooled),
        dim_mul_indices=list(widened),
    )
    found = rename_slowfast(meta_weights(shapes)).arch
    assert found == dict(arch=expected, dim_mul_in_attention=False, token_grid=(8, 56, 56))


def test_a_last_block_that_pools_is_known_from_the_config():
    """Its keys are not pooled, so that the shapes are those of a block that pools nothing."""
    shapes = mvit_shapes(24, 5, 1, widened=(2, 4), pooled=(2, 4), kv_stride=4)
    cfg = 'MVIT:\n  POOL_Q_STRIDE: [[0, 1, 1, 1], [2, 1, 2, 2], [4, 1, 2, 2]]\n'
    for text, pooled in ((cfg, [2, 4]), (None, [2]), ('MVIT: {', [2])):
        found = rename_slowfast(meta_weights(shapes), text)
        assert found.arch['arch']['downscale_indices'] == pooled
        assert f'backbone.norm{len(pooled)}.weight' in found.weights


def test_width_that_grows_in_attention_is_recognised():
    """As in the supervised MViTv2, which this finds out and a config must say."""
    cfg = dict(golden_model()['backbone'], dim_mul_in_attention=True)
    weights = {
        re.sub(r'^norm2\.', 'norm.', key).replace('projection', 'proj'): value
        for key, value in MODELS.build(cfg).state_dict().items()
    }
    found = rename_slowfast(weights)
    assert found.arch['dim_mul_in_attention'] is True
    assert found.arch['arch'] == cfg['arch']
    MODELS.build(cfg).load_state_dict(
        {key.removeprefix('backbone.'): value for key, value in found.weights.items()}
    )


def test_converted_checkpoint_gives_the_released_figures(convert):
    path = convert(released_checkpoint(golden_weights())).path
    model = init_model(Config(dict(model=golden_model())), path)
    shape = (SETUP['batch'], 3, SETUP['frames'], SETUP['img'], SETUP['img'])
    clip = named_noise(SETUP['salt'] + 'clip', shape)
    pred, grid = model.predict(clip, FIGURES['mask'].bool())
    mask = FIGURES['mask'].bool()
    masked = mask.repeat_interleave(2, 2).repeat_interleave(2, 3).flatten(1)
    assert grid == (4, 4, 4)
    torch.testing.assert_close(pred[masked], FIGURES['pred_masked'], atol=1e-5, rtol=0)


def test_checkpoint_is_whole_and_plain(convert):
    done = convert(released_checkpoint(golden_weights()))
    content = torch.load(done.path, weights_only=True)
    assert set(content['state_dict']) == {
        key for key in MODELS.build(golden_model()).state_dict() if 'target_generator' not in key
    }
    meta = content['meta']
    assert meta['epoch'] == 299 and meta['converted_from'] == 'released.pyth'
    assert 'DEPTH: 4' in meta['slowfast_cfg'] and meta['arch'] == done.arch
    assert done.kind == 'MaskFeat of videos (MViT)'
    hogs = [key for key in SETUP['keys'] if 'hogs' in key]
    assert done.dropped == [*hogs, 'optimizer_state', 'scaler_state']


def test_weights_alone_and_behind_module_are_taken(convert):
    weights = {f'module.{key}': value for key, value in golden_weights().items()}
    path = convert(weights).path
    assert torch.equal(load_weights(path)['backbone.mask_token'], golden_weights()['mask_token'])


def without(part):
    return {key: value for key, value in golden_weights().items() if part not in key}


MAE = 'pred_head.transforms.0.0.attn.qkv.weight'


def tiny_vit(num_classes=None):
    shapes = vit_shapes(24, 2, num_patches=16, patch=8, num_classes=num_classes)
    return named_weights({k: s for k, s in shapes.items() if 'hogs' not in k}, 'vit.')


VIT = dict(
    arch=dict(embed_dims=24, num_layers=2, num_heads=4, feedforward_channels=96),
    img_size=32,
    patch_size=8,
)


def test_published_backbone_is_what_mmpretrain_takes(convert, tmp_path):
    path = convert(released_checkpoint(tiny_vit())).path
    published = publish_model(path, tmp_path / 'vit.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(published), prefix='backbone.')
    model = VisionTransformer(**VIT, out_type='raw', init_cfg=init_cfg)
    model.init_weights()
    assert set(load_weights(published)) == {f'backbone.{key}' for key in model.state_dict()}
    backbone = dict(type='mmvidssl.MaskFeatViT', **VIT)
    neck = dict(type='mmpretrain.LinearNeck', in_channels=24, out_channels=108, **FREE)
    config = Config(dict(model=dict(golden_model(), backbone=backbone, neck=neck)))
    images = named_noise('images', (2, 3, 32, 32))
    model.eval()
    expected = model(images)[0][:, 1:]
    for file in (path, published):
        tokens = init_model(config, file).backbone.forward_tokens(images).tokens
        torch.testing.assert_close(tokens, expected)


def test_classifier_of_images_normalises_the_mean_token(convert):
    weights = tiny_vit(num_classes=5)
    state = load_weights(convert(released_checkpoint(weights)).path)
    backbone = dict(type='VisionTransformer', **VIT, out_type='avg_featmap', final_norm=False)
    head = dict(type='LinearClsHead', num_classes=5, in_channels=24)
    model = MODELS.build(
        dict(type='ImageClassifier', _scope_='mmpretrain', backbone=backbone, head=head)
    )
    model.load_state_dict(state)
    model.eval()
    images = named_noise('images', (2, 3, 32, 32))
    plain = VisionTransformer(**VIT, out_type='raw', final_norm=False)
    plain.load_state_dict(
        {k.removeprefix('backbone.'): v for k, v in state.items() if k.startswith('backbone.')},
        strict=False,
    )
    plain.eval()
    mean = plain(images)[0][:, 1:].mean(1)
    normed = torch.nn.functional.layer_norm(
        mean, (24,), weights['norm.weight'], weights['norm.bias'], 1e-6
    )
    expected = normed @ weights['head.projection.weight'].T + weights['head.projection.bias']
    found = model.head(model.extract_feat(images))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        (lambda: {}, 'model_state .* nothing'),
        (lambda: golden_weights(pos_embed_spatial=torch.ones(1)), 'MViT: pos_embed_spatial'),
        (lambda: without('blocks.2.attn.norm_k.bias'), 'blocks.2.attn.norm_k.bias'),
        (lambda: without('transforms'), 'norm.weight, .*norm.bias'),
        (lambda: golden_weights(**{'norm.bias': torch.ones(1)}), 'two weights .* norm.bias'),
        (lambda: tiny_vit() | {MAE: torch.ones(1)}, f'ViT: {MAE}'),
        (lambda: {'s1.pathway0_stem.conv.weight': torch.ones(1)}, 's1.pathway0_stem'),
    ],
    ids=['empty', 'positions', 'a bias', 'no norm', 'two norms', 'MAE', 'SlowFast'],
)
def test_refuses(convert, tmp_path, weights, message):
    with pytest.raises(ValueError, match=f'released.pyth.*{message}'):
        convert(dict(released_checkpoint({}), model_state=weights()))
    assert [path.name for path in tmp_path.iterdir()] == ['released.pyth']
