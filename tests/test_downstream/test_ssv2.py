"""Configs of Something-Something v2, run with mmaction2."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from tests.test_downstream.utils_action import (
    build_full,
    check_common,
    check_name,
    check_run,
    coverage_at_full_size,
    pretraining_config,
    write_videos,
)
from tests.test_downstream.utils_dense import check_header, check_metafile, configs_of

PATHS = configs_of('ssv2')
EACH = pytest.mark.parametrize('name', PATHS)


@EACH
def test_configs_say_what_they_are(name):
    check_header(PATHS[name])
    check_name(PATHS[name])
    cfg = Config.fromfile(PATHS[name])
    check_common(cfg)
    check_metafile(PATHS[name], build_full(cfg))
    assert cfg.model.cls_head.num_classes == 174
    # left and right have a meaning
    assert 'Flip' not in [step.type for step in cfg.train_dataloader.dataset.pipeline]
    blending = cfg.model.data_preprocessor.get('blending')
    assert blending is None or {a.num_classes for a in blending.augments} == {174}


@EACH
def test_full_models_take_the_weights_of_the_configs_they_name(name):
    cfg = Config.fromfile(PATHS[name])
    coverage = coverage_at_full_size(cfg, pretraining_config(cfg))
    assert not coverage.missing
    assert not coverage.mismatched


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The data set at the configs' paths."""
    folder = tmp_path_factory.mktemp('ssv2')
    data = folder / 'data/sthv2'
    for part, number in dict(train=4, val=2).items():
        write_videos(data / 'videos', data / f'sthv2_{part}_list_videos.txt', number)
    return folder


@EACH
def test_trains_and_tests(name, folder, pretrained, monkeypatch, tmp_path):
    monkeypatch.chdir(folder)
    cfg = check_run(PATHS[name], pretrained, tmp_path).cfg
    assert cfg.optim_wrapper.type == 'mmvidssl.AutocastOptimWrapper'  # bfloat16 on a CPU
    if 'mvit-small' in name:
        check_validates_alone(cfg, tmp_path)


def check_validates_alone(cfg, work_dir):
    """With ``save_best`` (mmengine#1587), and in bfloat16, which NumPy has not."""
    before = sorted(path.name for path in work_dir.glob('*.pth'))
    cfg = cfg.copy()
    cfg.experiment_name += '_val'
    cfg.load_from = str(work_dir / 'epoch_1.pth')
    cfg.val_cfg.fp16 = True
    assert 0 <= Runner.from_cfg(cfg).val()['acc/top1'] <= 1
    assert sorted(path.name for path in work_dir.glob('*.pth')) == before
