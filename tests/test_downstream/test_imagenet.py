"""Configs of ImageNet-1k, run with mmpretrain."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmvidssl.data_checks import check_config, check_dataset
from tests.test_downstream import utils
from tests.test_downstream.utils_action import (
    build_full,
    check_common,
    check_name,
    coverage_at_full_size,
    pretraining_config,
    write_imagenet,
)
from tests.test_downstream.utils_dense import (
    bicubic,
    check_header,
    check_metafile,
    configs_of,
    metrics_of,
    read_config,
)

PATHS = configs_of('imagenet')
EACH = pytest.mark.parametrize('name', PATHS)
OF_IMAGENET = pytest.mark.parametrize('name', [n for n in PATHS if 'own-data' not in n])
WIDTH = utils.NARROW_VIT['embed_dims']


def is_probe(name):
    return name.startswith('linear')


@EACH
def test_configs_say_what_they_are(name):
    check_header(PATHS[name])
    check_name(PATHS[name])
    cfg = read_config(PATHS[name])
    check_metafile(PATHS[name], build_full(cfg))
    check_common(cfg, allow_new=['ln2.*'] if 'maskfeat' in name else [])


@OF_IMAGENET
def test_full_models_take_the_weights_of_the_configs_they_name(name):
    cfg = Config.fromfile(PATHS[name])
    coverage = coverage_at_full_size(cfg, pretraining_config(cfg))
    # the norm after the mean is new with the classifier, as in the released code
    assert coverage.missing == ([] if is_probe(name) else ['ln2.weight', 'ln2.bias'])
    assert not coverage.mismatched
    assert not coverage.interpolated
    expected = [] if is_probe(name) else ['mask_token', 'ln1.weight', 'ln1.bias']
    assert set(coverage.unexpected) == set(expected)


@pytest.mark.parametrize(
    ('start', 'decay', 'rate', 'epochs', 'warmup'),
    [('vit-base', 0.65, 8e-3 / 2048, 100, 20), ('vit-large', 0.75, 1e-3 / 256, 50, 5)],
)
def test_recipe_of_the_released_code(start, decay, rate, epochs, warmup):
    (path,) = (path for name, path in PATHS.items() if name.startswith(start))
    cfg = Config.fromfile(path)
    assert cfg.optim_wrapper.paramwise_cfg == dict(layer_decay_rate=decay)
    assert cfg.optim_wrapper.optimizer.lr / cfg.auto_scale_lr.base_batch_size == rate
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[0].warmup) == (epochs, warmup)
    assert cfg.model.backbone.drop_path_rate == 0.1


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """ImageNet at the configs' paths."""
    folder = tmp_path_factory.mktemp('imagenet')
    write_imagenet(folder / 'data/imagenet')
    return folder


def shrink(cfg, checkpoint, work_dir):
    for part in ('train', 'val', 'test'):
        for step in cfg[f'{part}_dataloader'].dataset.pipeline:
            for key in ('scale', 'crop_size'):
                if key in step:
                    step[key] = {224: 64, 256: 72}[step[key]]
    cfg.model.backbone.update(arch=utils.NARROW_VIT, img_size=64)
    cfg.model.backbone.init_cfg.checkpoint = str(checkpoint)
    num_outputs = cfg.model.head.in_channels // 384 if 'frozen_stages' in cfg.model.backbone else 1
    cfg.model.head.in_channels = num_outputs * WIDTH
    return utils.shrink_runner(cfg, work_dir)


@OF_IMAGENET
def test_trains_and_evaluates(name, folder, pretrained, monkeypatch, tmp_path):
    monkeypatch.chdir(folder)
    checkpoint = pretrained.dora if is_probe(name) else pretrained.maskfeat_vit
    cfg = shrink(Config.fromfile(PATHS[name]), checkpoint, tmp_path)
    runner, start = utils.train(cfg)
    assert runner.iter == 2
    metrics = metrics_of(runner, 'accuracy/top1', 'accuracy/top5')
    assert all(0 <= value <= 100 for value in metrics.values())
    trained = runner.model.state_dict()
    changed = {key for key, value in start.items() if not torch.equal(value, trained[key])}
    if is_probe(name):
        utils.assert_backbone_loaded(start, checkpoint, utils.TEACHER)
        assert changed == {'head.fc.weight', 'head.fc.bias'}
        assert not any(layer.training for layer in runner.model.backbone.layers)
    else:
        utils.assert_backbone_loaded(
            start,
            checkpoint,
            interpolated=dict(pos_embed=bicubic((6, 6), (4, 4))),
            new=['ln2.'],
            left_over=['mask_token', 'ln1.'],
        )
        assert len(changed) > 0.9 * len(start)


def test_the_probe_reads_the_normalised_class_tokens_of_four_blocks(pretrained):
    """What DINO's ``get_intermediate_layers(x, 4)`` gives, the earliest first."""
    (path,) = (path for name, path in PATHS.items() if is_probe(name))
    cfg = Config.fromfile(path)
    cfg.model.backbone.update(arch=utils.NARROW_VIT, img_size=64)
    cfg.model.backbone.init_cfg.checkpoint = str(pretrained.dora)
    cfg.model.head.in_channels = 4 * WIDTH
    utils.register_all_modules(init_default_scope=False)
    utils.init_default_scope('mmpretrain')
    model = utils.MODELS.build(cfg.model).eval()
    model.init_weights()
    images = torch.randn(2, 3, 64, 64)
    backbone, tokens = model.backbone, []
    for layer in backbone.layers:
        layer.register_forward_hook(lambda *args: tokens.append(args[2]))
    with torch.no_grad():
        (features,) = backbone(images)
        expected = torch.cat([backbone.ln1(t)[:, 0] for t in tokens[-4:]], dim=-1)
        torch.testing.assert_close(features, expected)
        torch.testing.assert_close(model(images), model.head.fc(expected))


OWN = next(path for name, path in PATHS.items() if 'own-data' in name)
NAMES = ['Zebra', "it's a, b", 'ähre']


@pytest.fixture
def own_images(tmp_path, monkeypatch):
    """Folders of images called as none in a line of Python may be."""
    for part, number in dict(train=2, val=1).items():
        for name in NAMES:
            for index in range(number):
                pixels = np.full((80, 96, 3), 40 * index + len(name), np.uint8)
                path = tmp_path / "it's mine" / part / name / f'{index}, ü.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(cv2.imencode('.png', pixels)[1].tobytes())
    monkeypatch.setenv('DATA_ROOT', str(tmp_path / "it's mine"))
    monkeypatch.setenv('PRETRAINED', str(tmp_path / 'dora.pth'))
    return tmp_path / "it's mine"


def test_own_images(own_images, pretrained, tmp_path):
    shutil.copy(pretrained.dora, tmp_path / 'dora.pth')
    cfg = Config.fromfile(OWN)
    cfg = shrink(cfg, cfg.pretrained, tmp_path / 'work')
    check_config(cfg)
    runner, start = utils.train(cfg)
    utils.assert_backbone_loaded(start, tmp_path / 'dora.pth', utils.TEACHER)
    assert runner.model.state_dict()['head.fc.weight'].shape == (3, WIDTH)
    assert runner.train_dataloader.dataset.metainfo['classes'] == NAMES == sorted(NAMES)
    infos = map(runner.val_dataloader.dataset.get_data_info, range(3))
    labels = {Path(i['img_path']).parent.name: i['gt_label'] for i in infos}
    assert labels == {name: label for label, name in enumerate(NAMES)}
    (best,) = (tmp_path / 'work').glob('best_accuracy_top1*.pth')
    assert torch.load(best, weights_only=True)['meta']['dataset_meta']['classes'] == NAMES


@pytest.mark.parametrize(
    'old, new, message', [('Zebra', 'ass', "alone: .'Zebra', 'ass'"), ('Zebra', '.x', 'x')]
)
def test_folders_of_other_classes(old, new, message, own_images):
    """Of as many, mmpretrain numbers another class with the label of the one that is missing."""
    (own_images / 'val' / old).rename(own_images / 'val' / new)
    cfg = Config.fromfile(OWN)
    init_default_scope('mmpretrain')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    found = check_dataset(dataset, 'val_dataloader.dataset', torch.nn.Identity()).findings
    (finding,) = (each for each in found if each.kind is ValueError)
    assert re.search(f'{re.escape(str(own_images))}/val.*{message}', finding.text)


def test_a_folder_is_missing(own_images):
    shutil.rmtree(own_images / 'train')
    with pytest.raises(FileNotFoundError, match='mine/train'):
        Config.fromfile(OWN)
