import errno
import os
from types import SimpleNamespace

import av
import pytest

from mmvidssl.datasets.readers import (
    EmptyVideoError,
    UndecodableVideoError,
    VideoDiskError,
    stamp_of,
    video_index,
)
from mmvidssl.datasets.readers.video_index import build_index
from tests.utils_video import write_video


def packet(pts, is_key, is_hidden=False, size=9):
    return SimpleNamespace(
        **dict(pts=pts, dts=pts, size=size, is_keyframe=is_key),
        **dict(is_discard=is_hidden, is_corrupt=False),
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


@pytest.mark.parametrize('size', range(5, 400, 12))
@pytest.mark.parametrize('suffix', ['.mkv', '.webm', '.mp4'])
def test_a_file_that_is_cut_off_is_not_the_disks_fault(whole, suffix, size, tmp_path):
    """FFmpeg calls some of them errors of input and output."""
    path = tmp_path / f'v{suffix}'
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
