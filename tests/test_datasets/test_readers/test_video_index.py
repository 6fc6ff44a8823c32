import errno
import os
import tempfile
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from mmvidssl.datasets.readers import (
    EmptyVideoError,
    UndecodableVideoError,
    VideoDiskError,
    load_index,
    stamp_of,
    video_index,
)
from mmvidssl.datasets.readers.video_index import VideoIndex, build_index
from tests.utils_video import write_video


def packet(pts, is_key, is_hidden=False, size=9):
    return SimpleNamespace(
        **dict(pts=pts, dts=None, duration=1, size=size, is_keyframe=is_key),
        **dict(is_discard=is_hidden, is_corrupt=False, has_sidedata=lambda kind: False),
    )


@pytest.mark.parametrize(
    'packets',
    [
        [],
        [packet(0, True, size=0)],
        [packet(0, False), packet(1, True, is_hidden=True)],  # an edit list may hide the keyframe
        [packet(1, True, is_hidden=True), packet(0, False)],
        [packet(0, True, is_hidden=True)],
    ],
)
def test_without_a_frame_to_show_a_video_is_empty(packets, tmp_path, monkeypatch):
    path = str(write_video(tmp_path / 'v.mkv', 2, codec='ffv1'))
    opened = video_index.open_video

    class Faked:
        """The file, but for its packets."""

        def __init__(self, path):
            self.container = opened(path)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.container.close()

        def demux(self, stream):
            return iter(packets)

        def __getattr__(self, name):
            return getattr(self.container, name)

    monkeypatch.setattr(video_index, 'open_video', Faked)
    with pytest.raises(EmptyVideoError, match=r'no frames: .*v\.mkv'):
        build_index(path)


def test_a_transport_stream_that_only_promises_pictures(tmp_path):
    """Its tables name a stream of H.264, of which no packet came."""
    data = write_video(tmp_path / 'whole.ts', num_frames=9).read_bytes()
    packets = [data[start : start + 188] for start in range(0, len(data), 188)]
    tables = [p for p in packets if (p[1] & 0x1F) << 8 | p[2] != 0x100]  # 0x100: the video
    assert 0 < len(tables) < len(packets)
    (tmp_path / 'empty.ts').write_bytes(b''.join(20 * tables))
    with pytest.raises(EmptyVideoError, match=r'empty\.ts'):
        build_index(str(tmp_path / 'empty.ts'))


@pytest.mark.parametrize('suffix', ['.mkv', '.webm', '.mp4'])
def test_a_file_that_is_cut_off_is_not_the_disks_fault(whole, suffix, tmp_path):
    """FFmpeg calls some of them errors of input and output."""
    path = tmp_path / f'v{suffix}'
    for size in range(5, 400, 12):
        path.write_bytes(whole[suffix][:size])
        with pytest.raises(UndecodableVideoError):
            build_index(str(path))


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The bytes of a video, by its suffix."""
    folder = tmp_path_factory.mktemp('whole')
    codecs = {'.mkv': 'libx264', '.webm': 'libvpx-vp9', '.mp4': 'libx264'}
    return {
        suffix: write_video(folder / f'v{suffix}', num_frames=5, codec=codec).read_bytes()
        for suffix, codec in codecs.items()
    }


@pytest.mark.parametrize(
    'number, expected', [(errno.EIO, VideoDiskError), (errno.EINVAL, UndecodableVideoError)]
)
def test_a_disk_that_fails_is_not_the_files_fault(number, expected, tmp_path, monkeypatch):
    def fail(path):
        raise av.FFmpegError(number, os.strerror(number), path)

    monkeypatch.setattr(video_index, 'open_video', fail)
    with pytest.raises(expected, match=r'v\.mkv') as caught:
        build_index(str(tmp_path / 'v.mkv'))
    assert type(caught.value) is expected


def test_a_lost_network_disk_is_told(monkeypatch):
    def fail(path):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, 'stat', fail)
    with pytest.raises(VideoDiskError, match=r'v\.mkv'):
        stamp_of('v.mkv')


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('MMVIDSSL_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(video_index, 'BYTES_WORTH_KEEPING', 0)
    return tmp_path / 'cache/video_index'


def assert_equal(a: VideoIndex, b: VideoIndex):
    for one, other in zip(a, b, strict=True):
        assert np.array_equal(one, other) and type(one) is type(other)


def test_an_index_is_read_instead_of_the_video(cache, video, monkeypatch):
    first = load_index(str(video))
    assert len(list(cache.glob('*.index'))) == 1
    monkeypatch.setattr(video_index, 'build_index', lambda path: 1 / 0)
    assert_equal(load_index(str(video)), first)


def test_a_video_that_changed_is_read_again(cache, tmp_path):
    path = write_video(tmp_path / 'v.mp4', 10)
    assert len(load_index(str(path)).pts) == 10
    write_video(path, 20)
    assert len(load_index(str(path)).pts) == 20


def test_a_broken_cache_is_no_trouble(cache, video):
    expected = load_index(str(video))
    (kept,) = cache.glob('*.index')
    whole = kept.read_bytes()
    damages = [b'', b'nonsense', whole[:100]]
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
    monkeypatch.setattr(video_index, 'BYTES_WORTH_KEEPING', 0)
    told = []
    logger = SimpleNamespace(warning=told.append)
    monkeypatch.setattr(video_index.MMLogger, 'get_current_instance', lambda: logger)
    assert_equal(load_index(str(video)), build_index(str(video)))
    assert len(told) == 1 and 'MMVIDSSL_CACHE' in told[0]


def test_without_a_home(monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.delenv('MMVIDSSL_CACHE', raising=False)
    monkeypatch.setattr(Path, 'home', no_home)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    (tmp_path / 'v.mp4').touch()
    assert video_index.cache_file(str(tmp_path / 'v.mp4')).is_relative_to(tmp_path)


def test_short_videos_leave_nothing_behind(tmp_path, video, monkeypatch):
    monkeypatch.setenv('MMVIDSSL_CACHE', str(tmp_path / 'cache'))
    load_index(str(video))
    assert not os.path.exists(tmp_path / 'cache')


def test_the_keyframe_before_a_frame():
    keys = np.array([0, 120, 240])
    index = VideoIndex(np.arange(0, 360, 10), keys, keys - 20, Fraction(1, 10), 1.0, '', '', False)
    assert [index.key_of(pts) for pts in (-5, 0, 119, 120, 130, 500)] == [0, 0, 0, 1, 1, 2]
    np.testing.assert_allclose(index.timestamps, np.arange(36.0))
