"""Mistakes in the downstream configs of three libraries, refused before the first iteration."""

import shutil
from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from mmengine.runner import Runner

from mmvidssl.data_checks import check_config
from tests.test_downstream import test_ade20k, test_coco
from tests.test_downstream.utils_action import (
    shrink_recognizer,
    write_videos,
)
from tests.test_downstream.utils_dense import configs_of, write_coco, write_masks

pytestmark = pytest.mark.slow
DETECTION = 'mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-12e_coco'
RECOGNITION = 'mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400'
KINETICS = Path('data/kinetics400')


@pytest.fixture(scope='module')
def folder(tmp_path_factory, pretrained):
    """Small COCO, ADE20K and Kinetics-400, and checkpoints of both methods."""
    folder = tmp_path_factory.mktemp('data')
    shutil.copy(pretrained.dora, folder / 'vit.pth')
    shutil.copy(pretrained.maskfeat, folder / 'mvit.pth')
    write_coco(
        folder / 'coco',
        {part: f'annotations/instances_{part}2017.json' for part in ('train', 'val')},
        {part: f'{part}2017' for part in ('train', 'val')},
        CocoDataset.METAINFO['classes'],
    )
    write_masks(folder / 'ade', 'images', 'annotations', test_ade20k.PARTS, 150, first=1)
    for part in ('train', 'val'):
        ann_file = folder / KINETICS / f'kinetics400_{part}_list_videos.txt'
        write_videos(folder / KINETICS / f'videos_{part}', ann_file, 4)
    return folder


def detection(folder, work_dir, checkpoint):
    cfg = Config.fromfile(test_coco.PATHS[DETECTION])
    return test_coco.shrink(cfg, DETECTION, folder / 'coco', checkpoint, work_dir)


def segmentation(folder, work_dir, checkpoint):
    cfg = Config.fromfile(test_ade20k.PATHS[test_ade20k.UPERNET])
    return test_ade20k.shrink(cfg, folder / 'ade', checkpoint, work_dir)


def recognition(folder, work_dir, checkpoint):
    cfg = Config.fromfile(configs_of('kinetics')[RECOGNITION])
    return shrink_recognizer(cfg, checkpoint, work_dir)


OWN = {detection: 'vit.pth', segmentation: 'vit.pth', recognition: 'mvit.pth'}
OTHER = {'vit.pth': 'mvit.pth', 'mvit.pth': 'vit.pth'}
EACH = pytest.mark.parametrize('make', OWN, ids=lambda make: make.__name__)


@pytest.fixture(autouse=True)
def no_iteration(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Runner, '_init_model_weights', lambda self: pytest.fail('begun'))


@EACH
def test_checkpoint_of_another_method(make, folder, tmp_path):
    cfg = make(folder, tmp_path, folder / OTHER[OWN[make]])
    cfg.model.backbone.init_cfg.prefix = 'backbone.'
    with pytest.raises(ValueError, match='does not cover'):
        Runner.from_cfg(cfg).train()


def test_prefix_that_matches_nothing(folder, tmp_path):
    cfg = recognition(folder, tmp_path, folder / 'mvit.pth')
    cfg.model.backbone.init_cfg.prefix = 'model.'
    with pytest.raises(ValueError, match="nearest prefix is 'backbone.'"):
        Runner.from_cfg(cfg).train()


@EACH
def test_number_of_classes(make, folder, tmp_path):
    cfg = make(folder, tmp_path, folder / OWN[make])
    head = {
        detection: lambda: cfg.model.roi_head.mask_head,
        segmentation: lambda: cfg.model.auxiliary_head,
        recognition: lambda: cfg.model.cls_head,
    }[make]()
    head.num_classes = 7
    with pytest.raises(ValueError, match='_head.num_classes=7'):
        Runner.from_cfg(cfg).train()


@EACH
def test_files_that_an_annotation_names(make, folder, tmp_path):
    cfg = make(folder, tmp_path, folder / OWN[make])
    prefix = cfg.val_dataloader.dataset.data_prefix
    prefix.update(
        {
            detection: dict(img='nowhere/'),
            segmentation: dict(seg_map_path='nowhere'),
            recognition: dict(video='nowhere'),
        }[make]
    )
    with pytest.raises(FileNotFoundError, match='nowhere'):
        Runner.from_cfg(cfg).train()


def test_classes_that_an_annotation_does_not_name(folder, tmp_path):
    """mmdetection itself fails at making an empty array."""
    cfg = detection(folder, tmp_path, folder / 'vit.pth')
    cfg.train_dataloader.dataset.metainfo = dict(classes=('house',))
    with pytest.raises(ValueError, match=r"\['house'\]"):
        check_config(cfg)
    with pytest.raises(ValueError, match='at least one array'):
        Runner.from_cfg(cfg).train()
