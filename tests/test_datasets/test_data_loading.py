"""The data set, the sampler and the pipeline together, in MMEngine's data loader."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmvidssl.utils import register_all_modules

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/walking_tours_dora.py'


@pytest.fixture(autouse=True)
def registered():
    register_all_modules()


def small_loader(videos, num_workers, batch_size=4):
    cfg = Config.fromfile(CONFIG).train_dataloader
    cfg.update(num_workers=num_workers, batch_size=batch_size, pin_memory=False)
    cfg.persistent_workers = num_workers > 0
    cfg.sampler.num_samples_per_epoch = 8
    cfg.dataset.update(
        type='LongVideoDataset', videos=[str(v) for v in videos], data_root='', clip_len=3, seed=0
    )
    del cfg.dataset['cities']
    crop, multi_crop = cfg.dataset.pipeline[1:3]
    crop.size = 56
    multi_crop.num_local_views = 2
    multi_crop.global_transforms[0].size = 32
    multi_crop.local_transforms[0].size = 16
    return Runner.build_dataloader(cfg, seed=1)


def epoch_of(loader, epoch):
    loader.sampler.set_epoch(epoch)
    return list(loader)


def flatten(batches):
    samples = []
    for batch in batches:
        for i, sample in enumerate(batch['data_samples']):
            views = [batch['inputs']['global_clip'][i]]
            views += [view[i] for view in batch['inputs']['local_clips']]
            samples.append((sample.video_path, sample.frame_inds, views))
    return samples


def equal(first, second):
    return len(first) == len(second) and all(
        a[:2] == b[:2] and all(torch.equal(x, y) for x, y in zip(a[2], b[2], strict=True))
        for a, b in zip(first, second, strict=True)
    )


def test_batch_of_the_config(video, short_video):
    batch = epoch_of(small_loader([video, short_video], 0), 0)[0]
    assert set(batch) == {'inputs', 'data_samples'}
    assert [clip.shape for clip in batch['inputs']['global_clip']] == [(3, 3, 32, 32)] * 4
    assert len(batch['inputs']['local_clips']) == 2
    for view in batch['inputs']['local_clips']:
        assert [clip.shape for clip in view] == [(3, 3, 16, 16)] * 4
        assert all(clip.dtype == torch.uint8 for clip in view)
    assert [len(sample.frame_inds) for sample in batch['data_samples']] == [3] * 4


def test_samples_are_the_same_whatever_the_workers_and_the_batch_size(video, short_video):
    reference = flatten(epoch_of(small_loader([video, short_video], 0), 1))
    assert equal(reference, flatten(epoch_of(small_loader([video, short_video], 2), 1)))
    assert equal(reference, flatten(epoch_of(small_loader([video, short_video], 0, 2), 1)))
    assert not equal(reference, flatten(epoch_of(small_loader([video, short_video], 0), 2)))


def test_forked_workers_survive_a_parent_that_decoded(video, short_video):
    loader = small_loader([video, short_video], 2)
    _ = loader.dataset[0]  # opens a reader in this process
    first = flatten(epoch_of(loader, 0))
    assert equal(first, flatten(epoch_of(loader, 0)))  # and again, with the readers they kept


def test_official_crops_of_the_config():
    cfg = Config.fromfile(CONFIG).train_dataloader
    crop, multi_crop = cfg.dataset.pipeline[1:3]
    assert (cfg.batch_size, cfg.num_workers) == (16, 10)
    assert (cfg.dataset.clip_len, cfg.dataset.frame_interval) == (8, 1.0)
    assert (crop.size, crop.scale) == (300, (0.2, 1.0))
    assert (multi_crop.num_global_views, multi_crop.num_local_views) == (1, 6)
    first, local = multi_crop.global_transforms[0], multi_crop.local_transforms[0]
    assert (first.size, first.scale, first.get('per_frame', False)) == (224, (0.4, 1.0), False)
    assert (local.size, local.scale, local.per_frame) == (112, (0.05, 0.4), True)
