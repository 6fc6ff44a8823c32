"""Segmentation configs, run with mmsegmentation."""

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from tests.test_downstream import utils
from tests.test_downstream.utils_action import coverage_at_full_size, pretraining_config
from tests.test_downstream.utils_dense import (
    bicubic,
    check_custom_keys,
    check_header,
    check_metafile,
    check_name,
    configs_of,
    divide_sizes,
    metrics_of,
    read_config,
    replace_numbers,
    write_masks,
)

PATHS = configs_of('ade20k')
EACH = pytest.mark.parametrize('name', PATHS)
UPERNET = 'upernet_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512'
LINEAR = 'linear_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512'
WIDTHS = {384: 32, 256: 16, 1536: 128}
KEYS = ('embed_dim', 'in_channels', 'channels')
PARTS = dict(train='training', val='validation')


def shrink(cfg, data_root, checkpoint, work_dir):
    """Narrow, for crops of 64 pixels, with the config's own pipelines, heads and losses."""
    divide_sizes(cfg._cfg_dict, 8)
    model = cfg.model.get('module', cfg.model)
    model.backbone.arch = utils.NARROW_VIT
    model.backbone.init_cfg.checkpoint = str(checkpoint)
    for part in (model.neck, model.decode_head, model.auxiliary_head):
        replace_numbers(part or {}, WIDTHS, KEYS)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(data_root)
    return utils.shrink_runner(cfg, work_dir)


@pytest.fixture
def vit(pretrained):
    return pretrained.dora


@pytest.fixture(scope='module')
def ade20k(tmp_path_factory):
    root = tmp_path_factory.mktemp('ade20k')
    write_masks(root, 'images', 'annotations', PARTS, num_classes=150, first=1)
    return root


def check_backbone(state, checkpoint, grid=(4, 4)):
    """Positions are interpolated if pretraining had another grid."""
    resize = bicubic(source=grid, target=(4, 4))
    utils.assert_backbone_loaded(
        state, checkpoint, utils.TEACHER, interpolated=dict(pos_embed=resize)
    )


@EACH
def test_full_size(name):
    cfg = read_config(PATHS[name])
    check_header(PATHS[name])
    check_name(PATHS[name], cfg)
    check_custom_keys(cfg)
    model = utils.build_on_meta(cfg)
    check_metafile(PATHS[name], model)
    model = getattr(model, 'module', model)
    features = model.extract_feat(torch.zeros(2, 3, 64, 96, device='meta'))
    strides = (16,) * 4 if name.startswith('linear') else (4, 8, 16, 32)
    assert [tuple(f.shape) for f in features] == [(2, 384, 64 // s, 96 // s) for s in strides]
    logits = model.decode_head(features)
    assert logits.shape[1] == cfg.model.get('module', cfg.model).decode_head.num_classes


@pytest.mark.slow
@pytest.mark.parametrize('name', [UPERNET, LINEAR])
def test_trains_and_evaluates(name, ade20k, vit, tmp_path):
    runner, start = utils.train(
        shrink(Config.fromfile(PATHS[name]), ade20k, vit, tmp_path / 'train')
    )
    assert runner.iter == 2
    check_backbone(start, vit)
    assert 0 <= metrics_of(runner, 'mIoU')['mIoU'] <= 100
    end = runner.model.state_dict()
    moved = {key for key, value in end.items() if not torch.equal(value, start[key])}
    parts = {key.split('.')[0] for key in moved}
    if name == UPERNET:
        assert parts == {'backbone', 'neck', 'decode_head', 'auxiliary_head'}
    else:
        assert moved == {'decode_head.conv_seg.weight', 'decode_head.conv_seg.bias'}
        assert not any(p.requires_grad for p in runner.model.backbone.parameters())
    check_resumes(name, ade20k, vit, tmp_path)
    check_multi_scale_test(name, ade20k, vit, tmp_path)


def check_resumes(name, ade20k, vit, tmp_path):
    """From its own checkpoint, opened as plain data."""
    cfg = shrink(Config.fromfile(PATHS[name]), ade20k, vit, tmp_path / 'train')
    cfg.train_cfg.update(max_iters=3, val_interval=10)
    cfg.resume = True
    runner, start = utils.train(cfg)
    assert runner.iter == 3
    saved = torch.load(tmp_path / 'train/iter_2.pth', weights_only=True)['state_dict']
    assert all(torch.equal(value, start[key]) for key, value in saved.items())


def check_multi_scale_test(name, ade20k, vit, tmp_path):
    """The other config tests what this one trained."""
    cfg = shrink(Config.fromfile(PATHS[f'{name}-ms']), ade20k, vit, tmp_path / 'test')
    trained = tmp_path / 'train/iter_2.pth'
    cfg.load_from = str(trained)
    vit_is_not_needed = cfg.model.module.backbone.init_cfg
    vit_is_not_needed.checkpoint = 'not there any more'
    runner = Runner.from_cfg(cfg)
    inputs = runner.test_dataloader.dataset[0]['inputs']
    sides = [min(view.shape[-2:]) for view in inputs]
    assert sides == [side for side in (64, 64, 64, 80, 96, 112) for _ in range(2)]
    assert torch.equal(inputs[0].flip(-1), inputs[1])
    metrics = runner.test()
    assert 0 <= metrics['mIoU'] <= 100
    weights = torch.load(trained, weights_only=True)['state_dict']
    loaded = runner.model.module.state_dict()
    assert weights.keys() == loaded.keys()
    assert all(torch.equal(value, loaded[key]) for key, value in weights.items())


def test_frozen_backbone_is_that_of_evaluation_mode():
    """Through all that mmsegmentation does to a model."""
    model = utils.build_on_meta(Config.fromfile(PATHS[LINEAR])).train()
    assert model.training and model.decode_head.training
    still = [model.backbone.patch_embed, model.backbone.layers, model.backbone.ln1]
    drops = (nn.Dropout, nn.modules.batchnorm._BatchNorm)
    assert not any(part.training for part in model.backbone.layers)
    assert not any(m.training for part in still for m in part.modules() if isinstance(m, drops))
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {'decode_head.conv_seg.weight', 'decode_head.conv_seg.bias'}
    assert model.decode_head.conv_seg.weight.shape == (150, 1536, 1, 1)


@pytest.mark.parametrize('name', [UPERNET, LINEAR])
def test_recipe_is_that_of_ibot(name):
    cfg = read_config(PATHS[name])
    backbone, wrapper = cfg.model.backbone, cfg.optim_wrapper
    is_linear = name == LINEAR
    assert list(backbone.out_indices) == [3, 5, 7, 11] and backbone.norm_outputs
    assert cfg.train_dataloader.batch_size * 4 == 16
    assert wrapper.type == 'AmpOptimWrapper' and wrapper.clip_grad is None
    assert wrapper.optimizer.to_dict() == dict(
        type='AdamW', lr=8e-4 if is_linear else 3e-5, betas=(0.9, 0.999), weight_decay=0.05
    )
    decay = None if is_linear else dict(layer_decay_rate=0.9)
    assert wrapper.get('paramwise_cfg') == decay
    warmup, poly = cfg.param_scheduler
    assert (warmup.start_factor, warmup.end, poly.begin) == (1e-6, 1500, 1500)
    assert (poly.power, poly.eta_min, poly.end) == (1.0, 0.0, 160000)
    assert cfg.train_cfg.max_iters == 160000
    assert cfg.model.test_cfg.to_dict() == dict(
        mode='slide', crop_size=(512, 512), stride=(341, 341)
    )
    head, aux = cfg.model.decode_head, cfg.model.auxiliary_head
    if is_linear:
        assert backbone.frozen_stages == 12 and aux is None and cfg.model.neck is None
        assert (head.num_convs, head.concat_input, head.dropout_ratio) == (0, False, 0)
    else:
        assert backbone.drop_path_rate == 0.1 and head.channels == 384
        assert (aux.channels, aux.in_index, aux.loss_decode.loss_weight) == (256, 2, 0.4)
    resize, crop = cfg.train_dataloader.dataset.pipeline[2:4]
    assert resize.scale == (2048, 512) and resize.ratio_range == (0.5, 2.0)
    assert crop.crop_size == (512, 512) and crop.cat_max_ratio == 0.75


@pytest.mark.parametrize('name', [UPERNET, LINEAR])
def test_both_tests_are_of_the_same_model(name):
    single, multi = (Config.fromfile(PATHS[key]) for key in (name, f'{name}-ms'))
    assert multi.model.type == 'SegTTAModel'
    assert multi.model.module == single.model
    assert multi.test_evaluator == single.test_evaluator


@pytest.mark.parametrize('name', [name for name in PATHS if 'own-data' not in name])
def test_full_models_take_the_weights_of_the_configs_they_name(name):
    cfg = Config.fromfile(PATHS[name])
    coverage = coverage_at_full_size(cfg, pretraining_config(cfg))
    assert not coverage.mismatched and not coverage.missing and not coverage.unexpected
    assert coverage.interpolated == {'pos_embed': ((1, 197, 384), (1, 1 + 32 * 32, 384))}
