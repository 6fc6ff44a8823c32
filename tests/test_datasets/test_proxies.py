"""Data sets take proxies and videos alike."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.datasets import (
    LongVideoDataset,
    VideoListDataset,
    WalkingToursDataset,
    long_video_dataset,
)
from mmvidssl.datasets.long_video_dataset import _advise_on_proxies
from mmvidssl.datasets.readers import UndecodableVideoError, VideoInfo
from tests.utils_broken_video import run_as_nobody
from tests.utils_video import read_frame_number

DECODE = [dict(type='DecodeClip')]


@pytest.fixture(scope='module')
def proxy(video, tmp_path_factory):
    """5 frames a second of the video of 10."""
    path = tmp_path_factory.mktemp('proxies') / 'venice.proxy.mp4'
    make_proxy(video, path, ProxySettings(fps=5))
    return path


@pytest.fixture
def said():
    """What is logged."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    long_video_dataset._warn_once.cache_clear()
    yield messages
    logger.removeHandler(handler)


def test_clips_of_a_proxy_are_those_of_its_video(video, proxy):
    settings = dict(clip_len=3, frame_interval=1.0, seed=0, pipeline=DECODE)
    raw = LongVideoDataset(videos=[str(video)], start_stride=2, **settings)
    small = LongVideoDataset(videos=[str(proxy)], **settings)
    assert len(small) == len(raw) == 40
    for index in (0, 7, 39):
        expected, found = raw[index], small[index]
        assert (2 * found['frame_inds']).tolist() == expected['frame_inds'].tolist()
        numbers = [read_frame_number(frame) for frame in found['clip']]
        assert numbers == expected['frame_inds'].tolist()
        assert np.abs(found['clip'].astype(float) - expected['clip']).mean() < 12
        assert found['fps'] == pytest.approx(5)


def test_videos_and_proxies_together(video, proxy):
    dataset = LongVideoDataset(videos=[str(video), str(proxy)], clip_len=3, pipeline=DECODE)
    assert len(dataset) == 80 + 40
    sample = dataset[80 + 3]
    assert sample['video_path'] == str(proxy)
    assert [read_frame_number(frame) for frame in sample['clip']] == [6, 16, 26]


def test_folder_of_proxies(proxy):
    sample_clip = dict(type='SampleClip', clip_len=3, frame_interval=0.4, interval_unit='seconds')
    dataset = VideoListDataset(data_root=str(proxy.parent), pipeline=[sample_clip])
    (sample,) = dataset
    numbers = [read_frame_number(frame) for frame in sample['clip']]
    assert np.diff(numbers).tolist() == [4, 4]


def test_a_folder_with_videos_and_their_proxies_is_refused(tmp_path):
    """Each would count twice."""
    for name in ('a/1.mp4', 'a/1.proxy.mp4', 'b/2.proxy.mp4', 'b/3.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r'a/1\.mp4 .* a/1\.proxy\.mp4'):
        len(VideoListDataset(data_root=str(tmp_path)))
    assert len(VideoListDataset(data_root=str(tmp_path), suffixes=['.proxy.mp4'])) == 2


def test_a_proxy_in_another_folder_than_its_video_is_refused_too(video, tmp_path):
    (tmp_path / 'a').mkdir()
    walk = Path(shutil.copy(video, tmp_path / 'walk.mp4'))
    make_proxy(walk, tmp_path / 'proxies/walk.proxy.mp4')
    with pytest.raises(ValueError, match=r'walk\.mp4 .*/walk\.proxy\.mp4'):
        len(VideoListDataset(data_root=str(tmp_path)))
    walk.unlink()
    for other in ('a/walk.mp4', 'a/walk.mkv'):  # of that name, but other videos
        (tmp_path / other).write_bytes(b'another')
    assert len(VideoListDataset(data_root=str(tmp_path))) == 3


def test_walking_tours(proxy):
    dataset = WalkingToursDataset(str(proxy.parent), cities='venice', clip_len=3)
    assert len(dataset) == 40
    assert dataset.get_data_info(0)['video_path'] == str(proxy)


def test_a_damaged_proxy_is_named_before_training(proxy, tmp_path):
    (tmp_path / 'a.proxy.mp4').write_bytes(proxy.read_bytes()[:-100])
    with pytest.raises(UndecodableVideoError, match=r'a\.proxy\.mp4'):
        LongVideoDataset(videos=[str(tmp_path / 'a.proxy.mp4')], clip_len=3)


def test_a_proxy_without_permission_is_replaced(proxy, public_path):
    for name in ('a.proxy.mp4', 'b.proxy.mp4'):
        (public_path / name).write_bytes(proxy.read_bytes())
    (public_path / 'b.proxy.mp4').chmod(0)
    pipeline = [dict(type='SampleClip', clip_len=2), dict(type='PackClipInputs')]
    code = (
        'from mmvidssl.datasets import ClipIndex, VideoListDataset\n'
        'become_nobody()\n'
        f'dataset = VideoListDataset(data_root={str(public_path)!r}, pipeline={pipeline}, seed=0)\n'
        "sample = dataset[ClipIndex(1, 0)]['data_samples']\n"
        'print(sample.video_path, sample.decode_failures)\n'
    )
    read, failures = run_as_nobody(code).splitlines()[-1].split(maxsplit=1)
    assert read == str(public_path / 'a.proxy.mp4')
    assert f'{public_path / "b.proxy.mp4"}' in failures and 'Permission' in failures
    assert "'replaced': True" in failures


def info(path, short_side, fps=60.0):
    return VideoInfo(path, fps, np.arange(600) / fps, short_side=short_side)


def test_a_large_video_brings_up_proxies_once(said, monkeypatch):
    monkeypatch.chdir('/tmp')
    videos = [info('data/my walk.mp4', 2160), info('data/b.mp4', 1080), info('data/c.mp4', 1440)]
    for _ in range(2):
        _advise_on_proxies(videos, 8, 1.0, 'seconds')
    (message,) = said
    assert message.endswith(
        "python tools/datasets/make_proxy.py 'data/my walk.mp4' data/c.mp4 --short-side 720 "
        '--fps 4 --out /tmp/data_proxy'
    )


@pytest.mark.parametrize(
    'frame_interval, unit, fps', [(0.1, 'seconds', 10), (6, 'frames', 10), (2.0, 'seconds', 4)]
)
def test_the_proxys_rate_is_not_below_the_clips(said, frame_interval, unit, fps):
    _advise_on_proxies([info('a.mp4', 2160)], 8, frame_interval, unit)
    assert f'--fps {fps} --out' in said[0]


def test_nothing_is_said_of_small_videos_and_proxies_or_by_other_processes(said, monkeypatch):
    _advise_on_proxies([info('a.mp4', 1439), info('a.proxy.mp4', 2160)], 8, 1.0, 'seconds')
    monkeypatch.setattr(long_video_dataset, 'is_main_process', lambda: False)
    _advise_on_proxies([info('a.mp4', 2160)], 8, 1.0, 'seconds')
    assert said == []


def test_counting_the_frames_of_a_proxy_is_pointed_out(said, proxy):
    settings = dict(videos=[str(proxy)], clip_len=3, frame_interval=2)
    LongVideoDataset(**settings, interval_unit='frames')
    (message,) = said
    assert 'has 5 of them a second' in message and '0.4 s apart' in message
    LongVideoDataset(**settings, interval_unit='seconds')
    assert len(said) == 1
