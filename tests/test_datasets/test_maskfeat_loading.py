"""The data configs of MaskFeat in MMEngine's data loader."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner

from mmvidssl.datasets import flat_collate
from mmvidssl.utils import register_all_modules
from tests.utils_video import write_video

CONFIGS = Path(__file__).parents[2] / 'configs/_base_/datasets'
VIDEOS = ['kinetics400', 'kinetics600', 'kinetics700']


@pytest.fixture(autouse=True)
def registered():
    register_all_modules()


def load(name):
    return Config.fromfile(CONFIGS / f'{name}_maskfeat.py').train_dataloader


def fill(root, dataset, files):
    """The files where the config looks for them, and its list if it has one."""
    (prefix,) = dataset.data_prefix.values()
    for name, write in files.items():
        path = root / dataset.data_root / prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    if dataset.get('ann_file'):
        lines = [f'{name} {label}' for label, name in enumerate(files)]
        (root / dataset.data_root / dataset.ann_file).write_text('\n'.join(lines))


def fill_videos(root, dataset):
    files = {
        f'class {i}/v{i}.mp4': lambda path, i=i: write_video(path, num_frames=60 + i)
        for i in range(4)
    }
    fill(root, dataset, files)


def batches_of(cfg, num_workers=0, batch_size=2, epoch=0):
    cfg = Config(dict(cfg=cfg)).cfg
    cfg.update(num_workers=num_workers, batch_size=batch_size, pin_memory=False)
    cfg.persistent_workers = False
    cfg.dataset.seed = 0
    loader = Runner.build_dataloader(cfg, seed=1)
    loader.sampler.set_epoch(epoch)
    return list(loader)


@pytest.mark.parametrize('name', VIDEOS)
def test_batch_of_a_video_config(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load(name)
    fill_videos(tmp_path, cfg.dataset)
    batch = batches_of(cfg)[0]
    assert [clip.shape for clip in batch['inputs']['clip']] == [(3, 16, 224, 224)] * 2
    assert [sample.mask.shape for sample in batch['data_samples']] == [(8, 7, 7)] * 2
    assert all(sample.mask.dtype == torch.bool for sample in batch['data_samples'])
    assert all(
        set(np.diff(sample.frame_inds)) <= {0, 1, 2, 3, 4} for sample in batch['data_samples']
    )
    assert all('label' in sample.metainfo for sample in batch['data_samples'])


def test_batch_of_the_image_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load('imagenet')
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    files = {f'n0{i}/{i}.JPEG': lambda path: cv2.imwrite(str(path), image) for i in range(3)}
    fill(tmp_path, cfg.dataset, files)
    batch = batches_of(cfg)[0]
    assert [clip.shape for clip in batch['inputs']['clip']] == [(3, 1, 224, 224)] * 2
    assert [sample.mask.shape for sample in batch['data_samples']] == [(1, 14, 14)] * 2


def small(tmp_path, repeat=None):
    """The Kinetics config with short clips of few pixels."""
    cfg = load('kinetics400')
    fill_videos(tmp_path, cfg.dataset)
    sample, crop, *rest = cfg.dataset.pipeline
    sample.clip_len, crop.size = 2, 32
    if repeat == 'clip':
        cfg.dataset.pipeline = [sample, dict(type='RepeatAugment', transforms=[crop, *rest])]
    elif repeat == 'video':
        cfg.dataset.pipeline = [dict(type='RepeatAugment', transforms=[sample, crop, *rest])]
    return cfg


def flatten(batches):
    return {
        (sample.video_path, tuple(sample.frame_inds), clip.numpy().tobytes(), str(sample.mask))
        for batch in batches
        for sample, clip in zip(batch['data_samples'], batch['inputs']['clip'], strict=True)
    }


@pytest.mark.parametrize('repeat', [None, 'clip', 'video'])
def test_samples_are_the_same_whatever_the_workers_and_the_batch_size(
    repeat, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    cfg = small(tmp_path, repeat)
    reference = flatten(batches_of(cfg))
    assert len(reference) == (4 if repeat is None else 8)
    assert reference == flatten(batches_of(cfg, num_workers=2))
    assert reference == flatten(batches_of(cfg, batch_size=4))
    assert reference != flatten(batches_of(cfg, epoch=1))


def test_repeats_stand_side_by_side(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batches = batches_of(small(tmp_path, 'clip'))
    assert len(batches) == 2
    for batch in batches:
        paths = [sample.video_path for sample in batch['data_samples']]
        assert len(paths) == len(batch['inputs']['clip']) == 4
        assert paths[0] == paths[1] != paths[2] == paths[3]


def test_flat_collate_is_found_by_the_runner_and_leaves_single_samples_alone():
    assert FUNCTIONS.get('mmvidssl.flat_collate') is flat_collate
    assert flat_collate([dict(a=1), dict(a=2)]) == dict(a=[1, 2])
    assert flat_collate([[dict(a=1), dict(a=2)], [dict(a=3)]]) == dict(a=[1, 2, 3])


def test_official_settings():
    for name in VIDEOS[:3]:
        cfg = load(name)
        sample, crop, flip, mask, _ = cfg.dataset.pipeline
        assert (sample.clip_len, sample.frame_interval) == (16, 4)
        assert (crop.size, crop.scale, crop.ratio) == (224, (0.5, 1.0), (0.75, 4 / 3))
        assert flip.prob == 0.5
        assert (mask.mask_window, mask.mask_ratio) == ((8, 7, 7), 0.4)
        assert (mask.min_num_patches, mask.max_num_patches) == (9, 49)
        assert cfg.dataset.data_root == f'data/{name}'
    _, crop, flip, mask, _ = load('imagenet').dataset.pipeline
    assert (crop.size, crop.scale, flip.prob) == (224, (0.5, 1.0), 0.5)
    assert (mask.mask_window, mask.min_num_patches, mask.max_num_patches) == ((14, 14), 15, 78)
