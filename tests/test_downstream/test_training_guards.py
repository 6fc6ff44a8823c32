"""What guards a fine-tuning run against NaN and broken videos."""

import json
import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvidssl.datasets import VideoError
from tests.test_downstream import test_coco, utils
from tests.test_downstream.utils_action import shrink_recognizer, write_videos
from tests.test_downstream.utils_dense import configs_of, write_coco

RECOGNITION = configs_of('ssv2')['mvit-small_maskfeat-k400-pre_16xb16-amp-u16-100e_ssv2']


def test_every_config_guards_against_nan():
    """Or inherits its hooks from one that does; tests of each look at what is built of it."""
    paths = configs_of('*').values()
    stated = [path for path in paths if 'custom_hooks' in path.read_text()]
    assert len(stated) >= 12
    assert [path.name for path in stated if 'NaNGuardHook' not in path.read_text()] == []
    for path in set(paths) - set(stated):
        assert "_base_ = './" in path.read_text(), path


class Break(Hook):
    """Make a parameter NaN before the second iteration."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 1:
            runner.model.roi_head.mask_head.conv_logits.bias.data.fill_(torch.nan)


@pytest.mark.slow
def test_nan_of_another_library_is_caught(pretrained, tmp_path):
    name = test_coco.MASK_RCNN
    write_coco(
        tmp_path,
        {part: f'annotations/instances_{part}2017.json' for part in ('train', 'val')},
        {part: f'{part}2017' for part in ('train', 'val')},
        test_coco.CocoDataset.METAINFO['classes'],
    )
    cfg = Config.fromfile(test_coco.PATHS[name])
    cfg = test_coco.shrink(cfg, name, tmp_path, pretrained.dora, tmp_path / 'run')
    runner = Runner.from_cfg(cfg)
    runner.register_hook(Break())
    with pytest.raises(FloatingPointError, match='loss_mask=nan') as raised:
        runner.train()
    path = tmp_path / 'run/nan_iter_2.pth'
    assert f'Saved as {path}.' in str(raised.value)
    assert 'replay' not in str(raised.value)  # which is for our own models
    saved = torch.load(path, weights_only=True)
    sample = saved['batch']['data_samples'][0]
    assert sample['img_path'] in str(raised.value)
    assert len(sample['gt_instances']['bboxes']) == len(sample['gt_instances']['masks'])
    assert 'parse_losses' in vars(runner.model)  # the run has ended within an iteration


@pytest.fixture
def videos(tmp_path, monkeypatch):
    """Something-Something v2, of whose four videos one is cut off."""
    data = tmp_path / 'data/sthv2'
    for part, number in dict(train=4, val=2).items():
        write_videos(data / 'videos', data / f'sthv2_{part}_list_videos.txt', number)
    path = data / 'videos/sthv2_train_list_videos_1.mp4'
    path.write_bytes(path.read_bytes()[:-200])
    monkeypatch.chdir(tmp_path)
    return data / 'videos'


def test_a_broken_video_is_replaced_and_reported(videos, pretrained, tmp_path):
    cfg = shrink_recognizer(Config.fromfile(RECOGNITION), pretrained.maskfeat, tmp_path)
    runner, _ = utils.train(cfg)
    assert runner.iter == 2
    report = json.loads((tmp_path / 'broken_videos.json').read_text())
    assert (report['num_samples'], report['num_replaced']) == (4, 1)
    (video,) = report['videos']
    assert video['path'] == 'data/sthv2/videos/sthv2_train_list_videos_1.mp4'
    assert video['times'] == 1 and video['quarantined']
    assert video['reason'].startswith('UndecodableVideoError: ')


def test_a_broken_video_ends_a_validation_by_its_name(videos, pretrained, tmp_path):
    """Nothing takes its place: the score would be another one."""
    name = 'sthv2_val_list_videos_0.mp4'
    shutil.copy(videos / 'sthv2_train_list_videos_1.mp4', videos / name)
    cfg = shrink_recognizer(Config.fromfile(RECOGNITION), pretrained.maskfeat, tmp_path)
    cfg.model.backbone.init_cfg = None
    with pytest.raises(VideoError, match=name):
        Runner.from_cfg(cfg).val()
