"""MaskFeat on a folder of videos, stopped and resumed: equal to the bit, mask for mask."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from tests.utils_run import train
from tests.utils_video import write_video

CONFIGS = Path(__file__).parents[3] / 'configs'
CONFIG = CONFIGS / 'maskfeat/maskfeat_mvit-nano_1xb8-coslr-1200i_quickstart.py'
DATA = CONFIGS / '_base_/datasets/kinetics400_maskfeat.py'
NUM_ITERS, STOP = 6, 3  # the second epoch of two iterations has just begun

EMA = dict(
    type='DeepFeatureGenerator',
    ema=True,
    patch_size=16,
    temporal_stride=1,
    teacher=dict(
        type='MaskFeatViT',
        arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
        img_size=32,
        patch_size=16,
        out_type='featmap',
    ),
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('folder')
    for number in range(4):
        write_video(folder / f'{number}.mp4', num_frames=20 + number, size=(64, 96))
    return folder


def cfg_of(folder, work_dir, num_workers):
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir, cfg.experiment_name = str(work_dir), f'{Path(work_dir).name}-{num_workers}'
    cfg.train_dataloader.update(
        batch_size=2, num_workers=num_workers, persistent_workers=num_workers > 0
    )
    cfg.train_dataloader.dataset = Config.fromfile(DATA).train_dataloader.dataset
    cfg.train_dataloader.dataset.update(
        data_root=str(folder), ann_file='', data_prefix=dict(video='')
    )
    pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline[0].update(clip_len=4, frame_interval=2, short_side=64)
    pipeline[1].size = 32
    pipeline[3].update(mask_window=(2, 2, 2), min_num_patches=1, max_num_patches=4)
    cfg.model.backbone.update(spatial_size=32, temporal_size=4, drop_path_rate=0.3)
    cfg.train_cfg.max_iters = NUM_ITERS
    cfg.param_scheduler[0].update(warmup=2, max_share=0.5)
    cfg.default_hooks.checkpoint.update(interval=STOP, max_keep_ckpts=-1)
    return cfg


def with_ema(cfg):
    """Features of the moving average of a ViT, which takes single frames."""
    cfg.train_dataloader.dataset.pipeline[3].mask_window = (4, 2, 2)
    cfg.model.backbone = dict(EMA['teacher'], drop_path_rate=0.3, out_type='raw')
    cfg.model.neck.update(in_channels=24, out_channels=24)
    cfg.model.target_generator = EMA
    cfg.model.head.loss.type = 'NormalizedRegressionLoss'
    cfg.custom_hooks.append(dict(type='TeacherMomentumHook', momentum=0.1))
    return cfg


class Masks(Hook):
    """The masks that the training has seen."""

    def __init__(self):
        self.masks = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.masks.append(torch.stack([s.mask for s in data_batch['data_samples']]))


@pytest.mark.parametrize(
    'change, num_workers', [(lambda cfg: cfg, 0), (lambda cfg: cfg, 1), (with_ema, 0)]
)
def test_resumed_equals_uninterrupted(folder, tmp_path, change, num_workers):
    seen = dict(whole=Masks(), rest=Masks())
    train(change(cfg_of(folder, tmp_path / 'whole', num_workers)), seen['whole'])
    cfg = change(cfg_of(folder, tmp_path / 'rest', num_workers))
    cfg.resume, cfg.load_from = True, str(tmp_path / 'whole' / f'iter_{STOP}.pth')
    train(cfg, seen['rest'])
    assert len(seen['whole'].masks) == NUM_ITERS
    (log,) = (tmp_path / 'whole').rglob('*.log')
    assert 'Failed to search registry' not in log.read_text()
    for first, second in zip(seen['whole'].masks[STOP:], seen['rest'].masks, strict=True):
        assert torch.equal(first, second)
    last, start = (
        torch.load(tmp_path / 'whole' / f'iter_{i}.pth', weights_only=True)['state_dict']
        for i in (NUM_ITERS, STOP)
    )
    path = tmp_path / 'rest' / f'iter_{NUM_ITERS}.pth'
    resumed = torch.load(path, weights_only=True)['state_dict']
    assert resumed.keys() == last.keys()
    assert all(torch.equal(resumed[name], last[name]) for name in last)
    assert not all(torch.equal(start[name], last[name]) for name in last)
    if any('teacher' in name for name in last):
        name = next(n for n in last if n.endswith('teacher.layers.0.attn.qkv.weight'))
        assert not torch.equal(start[name], last[name])
