import os
from fractions import Fraction

import numpy as np
import pytest

from mmvidssl.datasets.readers import index_cache, load_index
from mmvidssl.datasets.readers.video_index import VideoIndex, build_index
from tests.utils_video import write_video


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('MMVIDSSL_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(index_cache, 'SECONDS_WORTH_KEEPING', -1)
    return tmp_path / 'cache/video_index'


def assert_equal(a: VideoIndex, b: VideoIndex):
    for one, other in zip(a, b, strict=True):
        assert np.array_equal(one, other) and type(one) is type(other)


def test_an_index_is_read_instead_of_the_video(cache, video, monkeypatch):
    first = load_index(str(video))
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(index_cache, 'build_index', lambda path: 1 / 0)
    assert_equal(load_index(str(video)), first)


def test_a_video_that_changed_is_read_again(cache, tmp_path):
    path = write_video(tmp_path / 'v.mp4', 10)
    assert len(load_index(str(path)).pts) == 10
    write_video(path, 20)
    assert len(load_index(str(path)).pts) == 20


def test_a_broken_cache_is_no_trouble(cache, video):
    expected = load_index(str(video))
    (kept,) = cache.iterdir()
    for data in (b'', b'PK\x03\x04 nonsense', kept.read_bytes()[:100]):
        kept.write_bytes(data)
        assert_equal(load_index(str(video)), expected)


def test_a_cache_that_cannot_be_written_is_no_trouble(tmp_path, video, monkeypatch):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('MMVIDSSL_CACHE', str(tmp_path / 'file'))
    monkeypatch.setattr(index_cache, 'SECONDS_WORTH_KEEPING', -1)
    assert_equal(load_index(str(video)), build_index(str(video)))


def test_short_videos_leave_nothing_behind(tmp_path, video, monkeypatch):
    monkeypatch.setenv('MMVIDSSL_CACHE', str(tmp_path / 'cache'))
    load_index(str(video))
    assert not os.path.exists(tmp_path / 'cache')


def test_the_keyframe_before_a_frame():
    keys = np.array([0, 120, 240])
    index = VideoIndex(np.arange(0, 360, 10), keys, keys - 20, Fraction(1, 10), 1.0, '', '')
    assert [index.key_of(pts) for pts in (-5, 0, 119, 120, 130, 500)] == [0, 0, 0, 1, 1, 2]
    np.testing.assert_allclose(index.timestamps, np.arange(36.0))
