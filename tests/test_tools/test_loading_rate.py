"""Rates, waiting and memory of loading, against a data set of known speed."""

import os
import time

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmvidssl.registry import TRANSFORMS
from tests.utils_video import write_video
from tools.benchmarks.loading_rate import (
    LoadingRate,
    measure_loading,
    measure_step,
    needed_workers,
    with_reader,
    with_videos,
)
from tools.benchmarks.measuring import memory_with_children

DELAY = 0.05
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


@TRANSFORMS.register_module()
class SleepTransform:
    """Takes its time."""

    def __call__(self, results):
        time.sleep(DELAY)
        return results


@pytest.fixture
def cfg(tmp_path):
    video = write_video(tmp_path / 'v.mp4', num_frames=200, size=(64, 96))
    cfg = Config.fromfile(f'{ROOT}/tests/configs/dora_tiny.py')
    dataset = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(
        type='LongVideoDataset',
        videos=[str(video)],
        clip_len=2,
        frame_interval=2,
        interval_unit='frames',
        pipeline=[dict(type='SleepTransform'), *dataset.pipeline],
    )
    cfg.train_dataloader.sampler.num_samples_per_epoch = 128
    cfg.work_dir = str(tmp_path / 'work')
    return cfg


def test_a_slow_data_set_is_found_slow_and_workers_help(cfg):
    batch_size = cfg.train_dataloader.batch_size
    one = measure_loading(cfg, num_workers=0, num_batches=4, step_seconds=0.0)
    assert one.clips_per_second < 1 / DELAY
    assert one.wait_share > 0.9
    several = measure_loading(
        cfg, num_workers=2, num_batches=4, step_seconds=3 * batch_size * DELAY
    )
    assert several.num_workers == 2
    assert several.wait_share < one.wait_share
    assert 20 < several.mib_per_worker < 4000


def test_every_worker_gives_as_many_batches(cfg):
    """They deliver together: a few batches of many workers would be part of a burst."""
    cfg.train_dataloader.sampler.num_samples_per_epoch = 20
    with pytest.raises(ValueError, match='10 batches of 2, 24 are'):
        measure_loading(cfg, num_workers=4, num_batches=1)


def test_too_short_a_data_set_is_refused(cfg):
    with pytest.raises(ValueError, match='batches of'):
        measure_loading(cfg, num_workers=0, num_batches=1000)


def test_recommended_workers_keep_up():
    rate = LoadingRate(
        2, clips_per_second=8.0, batches_per_second=0.5, wait_share=None, mib_per_worker=None
    )
    assert needed_workers(rate, step_seconds=1.0) == 4
    assert needed_workers(rate._replace(num_workers=0), step_seconds=1.0) == 2


def test_several_clips_of_an_item_make_no_more_batches(cfg):
    """Or too few workers would be recommended."""
    cfg.train_dataloader.collate_fn = dict(type='mmvidssl.flat_collate')
    cfg.train_dataloader.sampler.num_samples_per_epoch = 40
    *_, pack = pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline[-1] = dict(type='RepeatAugment', transforms=[pack], num_repeats=3)
    rate = measure_loading(cfg, num_workers=0, num_batches=4)
    batch_size = cfg.train_dataloader.batch_size
    assert rate.clips_per_second == pytest.approx(3 * batch_size * rate.batches_per_second)


def test_memory_counts_children(cfg):
    before = memory_with_children(os.getpid())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        block = bytearray(os.urandom(1)) * 2**26
        os.write(writer, b'x' if block else b'')
        time.sleep(60)
        os._exit(0)
    try:
        os.read(reader, 1)
        assert memory_with_children(os.getpid()) > before + 48
        assert memory_with_children(child) > 48
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(reader), os.close(writer)
    assert memory_with_children(child) is None


def test_other_readers_and_videos(cfg):
    assert with_reader(cfg, dict(type='DecordReader')).train_dataloader.dataset.reader.type == (
        'DecordReader'
    )
    other = with_videos(cfg, ['a.mp4']).train_dataloader.dataset
    assert other.videos == ['a.mp4'] and other.clip_len == 2
    cfg.train_dataloader.dataset.type = 'VideoListDataset'
    with pytest.raises(ValueError, match='LongVideoDataset'):
        with_videos(cfg, ['a.mp4'])


def test_a_step_is_timed(cfg):
    assert 0 < measure_step(cfg, num_steps=1) < 60


def test_data_time_in_the_log_is_the_time_waited(cfg):
    """MMEngine's figure, through our loops: with no workers it is the data set's own time."""
    batch_size = cfg.train_dataloader.batch_size
    cfg.train_dataloader.num_workers = 0
    cfg.train_dataloader.persistent_workers = False
    cfg.train_dataloader.sampler.num_samples_per_epoch = 8
    runner = Runner.from_cfg(cfg)
    runner.train()
    times = runner.message_hub.get_scalar('train/data_time').data[0][1:]
    assert all(waited > DELAY * batch_size for waited in times), times
    steps = runner.message_hub.get_scalar('train/time').data[0][1:]
    assert all(step > waited for step, waited in zip(steps, times, strict=True))
