import multiprocessing
import os
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmvidssl.datasets.readers import index_cache, load_index
from mmvidssl.datasets.readers.video_index import VideoIndex, build_index
from tests.utils_video import write_video


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('MMVIDSSL_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(index_cache, 'BYTES_WORTH_KEEPING', 0)
    return tmp_path / 'cache/video_index'


def assert_equal(a: VideoIndex, b: VideoIndex):
    for one, other in zip(a, b, strict=True):
        assert np.array_equal(one, other) and type(one) is type(other)


def test_an_index_is_read_instead_of_the_video(cache, video, monkeypatch):
    first = load_index(str(video))
    assert len(list(cache.glob('*.npz'))) == 1
    monkeypatch.setattr(index_cache, 'build_index', lambda path: 1 / 0)
    assert_equal(load_index(str(video)), first)


def test_a_video_that_changed_is_read_again(cache, tmp_path):
    path = write_video(tmp_path / 'v.mp4', 10)
    assert len(load_index(str(path)).pts) == 10
    write_video(path, 20)
    assert len(load_index(str(path)).pts) == 20


def test_a_broken_cache_is_no_trouble(cache, video):
    expected = load_index(str(video))
    (kept,) = cache.glob('*.npz')
    whole = kept.read_bytes()
    damages = [b'', b'PK\x03\x04 nonsense', whole[:100]]
    for place in range(0, len(whole), 7):
        damages.append(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    for data in damages:
        kept.write_bytes(data)
        index = load_index(str(video))
        assert index.codec == expected.codec and len(index.pts) == len(expected.pts)
    kept.write_bytes(b'')
    assert_equal(load_index(str(video)), expected)


def test_a_cache_that_cannot_be_written_is_told_once_and_no_trouble(tmp_path, video, monkeypatch):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('MMVIDSSL_CACHE', str(tmp_path / 'file'))
    monkeypatch.setattr(index_cache, 'BYTES_WORTH_KEEPING', 0)
    told = []
    logger = SimpleNamespace(warning=told.append)
    monkeypatch.setattr(index_cache.MMLogger, 'get_current_instance', lambda: logger)
    assert_equal(load_index(str(video)), build_index(str(video)))
    assert len(told) == 1 and 'MMVIDSSL_CACHE' in told[0]


def test_without_a_home(monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.delenv('MMVIDSSL_CACHE', raising=False)
    monkeypatch.setattr(Path, 'home', no_home)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    (tmp_path / 'v.mp4').touch()
    assert index_cache.cache_file(str(tmp_path / 'v.mp4')).is_relative_to(tmp_path)


def test_processes_that_want_one_index_wait_for_it(cache, video, monkeypatch):
    """The second comes while the first builds, and reads what that one kept."""
    built = cache.parent / 'built'
    build = index_cache.build_index

    def slow(path):
        with built.open('a') as file:
            file.write('x')
        time.sleep(0.5)
        return build(path)

    cache.parent.mkdir()
    monkeypatch.setattr(index_cache, 'build_index', slow)
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=load_index, args=(str(video),)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert built.read_text() == 'x'


def test_short_videos_leave_nothing_behind(tmp_path, video, monkeypatch):
    monkeypatch.setenv('MMVIDSSL_CACHE', str(tmp_path / 'cache'))
    load_index(str(video))
    assert not os.path.exists(tmp_path / 'cache')


def test_the_keyframe_before_a_frame():
    keys = np.array([0, 120, 240])
    none = np.array([], dtype=np.int64)
    index = VideoIndex(
        np.arange(0, 360, 10),
        keys,
        keys - 20,
        Fraction(1, 10),
        1.0,
        '',
        '',
        False,
        False,
        none,
        keys,
    )
    assert [index.key_of(pts) for pts in (-5, 0, 119, 120, 130, 500)] == [0, 0, 0, 1, 1, 2]
    np.testing.assert_allclose(index.timestamps, np.arange(36.0))
