"""Positions of checkpoints whose token grid is not square, or not the model's."""

import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import init_backbone, publish_model
from mmvidssl.engine.checkpoint import Source, examine, read_weights
from mmvidssl.models.utils import resize_pos_embed
from mmvidssl.registry import MODELS
from mmvidssl.utils.token_grid import grid_of_config
from tests.test_configs import ROOT

ARCH = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)
OURS, MMPRETRAIN = 'mmvidssl.DINOViT', 'mmpretrain.VisionTransformer'


def build(size, kind=OURS, **options):
    return MODELS.build(dict(type=kind, arch=ARCH, img_size=size, patch_size=16, **options))


def write(path, size, with_config=True):
    """What a run of this image size saves; its positions."""
    torch.manual_seed(0)
    model = build(size)
    torch.nn.init.normal_(model.pos_embed)
    state = {f'backbone.{key}': value for key, value in model.state_dict().items()}
    backbone = dict(type=OURS, arch=ARCH, img_size=size, patch_size=16)
    cfg = Config(dict(model=dict(type='DoRA', backbone=backbone)))
    torch.save(dict(state_dict=state, meta=dict(cfg=cfg.pretty_text) if with_config else {}), path)
    return model.pos_embed.detach()


def patches(size):
    return size[0] // 16, size[1] // 16


@pytest.mark.parametrize('kind', [OURS, MMPRETRAIN])
@pytest.mark.parametrize(
    ('pretrained', 'finetuned'),
    [
        ((112, 448), (224, 224)),  # as many patches: 7 x 28 and 14 x 14
        ((224, 224), (112, 448)),
        ((128, 256), (112, 448)),  # 128 patches are no square
        ((112, 448), (96, 96)),  # 196 are that of 14, but they are not of it
        ((112, 448), (112, 448)),
    ],
)
def test_the_config_of_the_file_tells_the_grid(kind, pretrained, finetuned, tmp_path):
    path = str(tmp_path / 'epoch_1.pth')
    positions = write(path, pretrained)
    expected = resize_pos_embed(positions, patches(pretrained), patches(finetuned))
    init_cfg = dict(type='Pretrained', checkpoint=path, prefix='backbone.')
    model = build(finetuned, kind, init_cfg=init_cfg)
    coverage = examine(Source('', model, path, 'backbone.'), read_weights(path))
    assert ('pos_embed' in {*coverage.interpolated, *coverage.converted}) is (
        pretrained != finetuned
    )
    model.init_weights()
    torch.testing.assert_close(model.pos_embed.detach(), expected)
    torch.testing.assert_close(coverage.loaded['pos_embed'], expected)
    published = publish_model(path, tmp_path / 'published.pth')
    for file in (path, published):
        backbone = dict(type=kind, arch=ARCH, img_size=finetuned, patch_size=16)
        torch.testing.assert_close(init_backbone(backbone, file).pos_embed.detach(), expected)
    # What a model loads of its own kind, without a file, stays as it is.
    model.load_state_dict(build(finetuned).state_dict(), strict=False)


def test_no_config_and_no_square(tmp_path):
    path = tmp_path / 'other.pth'
    write(path, (128, 256), with_config=False)
    with pytest.raises(ValueError, match='128 patches.*14 x 14'):
        init_backbone(dict(type=OURS, arch=ARCH, img_size=224, patch_size=16), path)
    model = init_backbone(dict(type=OURS, arch=ARCH, img_size=(128, 256), patch_size=16), path)
    assert model.pos_embed.shape[1] == 1 + 128


@pytest.mark.parametrize(
    ('text', 'grid'),
    [
        ("model = dict(backbone=dict(type='A', img_size=[112, 448], patch_size=8))", (14, 56)),
        ("model = dict(backbone=dict(type='A'))", (14, 14)),
        ('model = dict(module=dict(backbone=dict(img_size=480)))', (30, 30)),
        ('model = dict(backbone=dict(img_size=size))', None),
        ("model = dict(backbone=dict(img_size=open('x')))", None),
        ('model = dict(type=1)', None),
        ('(', None),
        (None, None),
    ],
)
def test_configs_are_read_and_not_run(text, grid):
    assert grid_of_config(text) == grid


def test_a_shipped_config_is_understood():
    cfg = Config.fromfile(ROOT / 'configs/dora/dora_vit-nano-p8_1xb8-coslr-900i_quickstart.py')
    side = cfg.model.backbone.img_size // cfg.model.backbone.patch_size
    assert grid_of_config(cfg.pretty_text) == (side, side)
