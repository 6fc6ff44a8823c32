"""Configs of AVA, run with mmaction2 and mmdetection."""

import pytest
from mmengine.config import Config

from tests.test_downstream import utils
from tests.test_downstream.utils_action import (
    AS_MVIT,
    build_full,
    check_common,
    check_moved,
    check_name,
    coverage_at_full_size,
    narrow_mvit,
    pretraining_config,
    shrink_clips,
    write_ava,
)
from tests.test_downstream.utils_dense import check_header, check_metafile, configs_of, metrics_of
from tests.utils_config import changes

PATHS = configs_of('ava')
EACH = pytest.mark.parametrize('name', PATHS)


@EACH
def test_configs_say_what_they_are(name):
    check_header(PATHS[name])
    check_name(PATHS[name])
    cfg = Config.fromfile(PATHS[name])
    check_common(cfg)
    check_metafile(PATHS[name], build_full(cfg))
    assert cfg.model.init_cfg is None  # nothing else is loaded over the backbone
    for part in ('train', 'val', 'test'):
        dataset = cfg[f'{part}_dataloader'].dataset
        assert dataset.type == 'AVADataset'
        files = [dataset.ann_file, dataset.exclude_file, dataset.label_file, dataset.proposal_file]
        assert all(file.startswith('data/ava/annotations/') for file in files)


@EACH
def test_full_models_take_the_weights_of_the_configs_they_name(name):
    cfg = Config.fromfile(PATHS[name])
    coverage = coverage_at_full_size(cfg, pretraining_config(cfg))
    assert not coverage.missing
    assert not coverage.mismatched


def test_boxes_are_cut_out_where_they_are():
    """The stride of the extractor is that of the last feature map, 32 pixels."""
    for path in PATHS.values():
        cfg = Config.fromfile(path)
        size = cfg.model.backbone.spatial_size
        last = build_full(cfg).backbone.blocks[-1]
        stride = cfg.model.roi_head.bbox_roi_extractor.featmap_stride
        assert size // stride == last.init_out_size[-1]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """AVA at the configs' paths."""
    folder = tmp_path_factory.mktemp('ava')
    write_ava(folder / 'data/ava')
    return folder


def shrink(cfg, checkpoint, work_dir):
    for part in ('train', 'val', 'test'):
        shrink_clips(cfg[f'{part}_dataloader'].dataset.pipeline)
    narrow_mvit(cfg, checkpoint)
    cfg.model.roi_head.bbox_head.in_channels = utils.MVIT_WIDTH
    return utils.shrink_runner(cfg, work_dir)


def test_sizes_differ_in_sizes_alone():
    """So that it is enough to train the larger one."""
    large, small = map(Config.fromfile, PATHS.values())
    keys = {key.split('.')[-1] for key in changes(small, large)} - {'_scope_'}
    clip = {'clip_len', 'frame_interval', 'scale', 'scale_range', 'size', 'batch_size'}
    backbone = {'arch', 'spatial_size', 'temporal_size', 'in_channels', 'with_cp'}
    assert keys == clip | backbone | {'pretrained', 'checkpoint', 'layer_decay_rate'}


@pytest.mark.slow
def test_trains_and_evaluates(folder, pretrained, monkeypatch, tmp_path):
    monkeypatch.chdir(folder)
    large, _ = PATHS.values()
    cfg = shrink(Config.fromfile(large), pretrained.maskfeat, tmp_path)
    runner, start = utils.train(cfg)
    assert runner.iter == 2
    (precision,) = metrics_of(runner, 'mAP/overall').values()
    assert 0 <= precision <= 1
    utils.assert_backbone_loaded(start, pretrained.maskfeat, **AS_MVIT)
    check_moved(runner, start)
