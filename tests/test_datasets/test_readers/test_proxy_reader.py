import errno
import os
import pickle

import numpy as np
import pytest

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.datasets.readers import (
    DecordReader,
    ProxyReader,
    ReaderCache,
    UndecodableVideoError,
    VideoDiskError,
    VideoError,
    VideoNotFoundError,
    build_reader,
    open_pack,
    probe_video,
    proxy_pack,
)
from mmvidssl.datasets.readers.base import shrink_frame
from tests.utils_proxy import decode_all, in_fork
from tests.utils_video import read_frame_number

DECORD = dict(type='DecordReader')


@pytest.fixture(scope='module')
def proxy(short_video, tmp_path_factory):
    """Frames 0, 2, 4 ... 38 of the short video (10 fps), without loss."""
    path = tmp_path_factory.mktemp('proxies') / 'b.frames'
    make_proxy(short_video, path, ProxySettings(fps=5, format='png'))
    return path


@pytest.fixture
def reader(proxy):
    return ProxyReader(str(proxy))


def test_tells_number_rate_and_times(reader, short_video):
    assert reader.num_frames == 20
    assert reader.fps == pytest.approx(5)
    assert reader.timestamps.dtype == np.float64
    np.testing.assert_array_equal(reader.timestamps, decode_all(short_video)[0][::2])
    assert reader.manifest['source']['name'] == 'b.mp4'


def test_the_rate_copies_no_times(reader, monkeypatch):
    """It is asked for with each sample, and the index of hours is long."""
    monkeypatch.setattr(ProxyReader, 'timestamps', property(lambda self: 1 / 0))
    assert reader.fps == pytest.approx(5) and type(reader.fps) is float


def test_frames_are_those_of_the_video(reader, short_video):
    frames = reader.get_frames(np.arange(20))
    assert [read_frame_number(frame) for frame in frames] == list(range(0, 40, 2))
    np.testing.assert_array_equal(frames, decode_all(short_video)[1][::2])


def test_order_and_repeats(reader):
    inds = np.array([7, 0, 19, 7])
    frames = reader.get_frames(inds)
    assert frames.shape == (4, 64, 96, 3) and frames.dtype == np.uint8
    assert [read_frame_number(frame) for frame in frames] == (2 * inds).tolist()


def test_by_time(reader):
    frames = reader.get_frames(times=[0.29, 0.31, 100.0])
    assert [read_frame_number(frame) for frame in frames] == [2, 4, 38]
    with pytest.raises(ValueError, match='either indices or times'):
        reader.get_frames()


def test_short_side(reader):
    whole = reader.get_frames(np.array([3, 5]))
    small = reader.get_frames(np.array([3, 5]), short_side=32)
    assert small.shape == (2, 32, 48, 3)
    np.testing.assert_array_equal(small, [shrink_frame(frame, 32) for frame in whole])
    assert reader.get_frames(np.array([3]), short_side=100).shape == (1, 64, 96, 3)


@pytest.mark.parametrize('inds', [[20], [-1]])
def test_outside(reader, inds):
    with pytest.raises(IndexError, match=r'b\.frames, which has frames 0\.\.19'):
        reader.get_frames(np.array(inds))


def test_close_and_open_again(reader):
    first = reader.get_frames(np.array([4]))
    reader.close()
    np.testing.assert_array_equal(reader.get_frames(np.array([4])), first)


def test_pickled_open(reader):
    first = reader.get_frames(np.array([4]))
    text = pickle.dumps(reader)
    assert len(text) < 500
    np.testing.assert_array_equal(pickle.loads(text).get_frames(np.array([4])), first)


def test_forked_open(reader):
    first = reader.get_frames(np.array([4]))
    code, frames = in_fork(lambda: reader.get_frames(np.array([4])))
    assert code == 0
    np.testing.assert_array_equal(frames, first)


def test_missing(tmp_path):
    with pytest.raises(VideoNotFoundError, match=r'gone\.frames'):
        ProxyReader(str(tmp_path / 'gone.frames'))


@pytest.fixture
def copy(proxy, tmp_path):
    path = tmp_path / 'copy.frames'
    path.write_bytes(proxy.read_bytes())
    return path


def test_deleted_while_open(copy):
    reader = ProxyReader(str(copy))
    first = reader.get_frames(np.array([4]))
    copy.unlink()
    np.testing.assert_array_equal(reader.get_frames(np.array([4])), first)


def test_cut_off_while_open(copy):
    """Touching what is gone of a mapped file would end the process by SIGBUS."""
    reader = ProxyReader(str(copy))
    assert reader.num_frames == 20
    os.truncate(copy, 30)
    with pytest.raises(UndecodableVideoError, match=r'copy\.frames .* cut off while it was open'):
        reader.get_frames(np.array([19]))


@pytest.mark.parametrize(
    'error, kind, words',
    [
        (FileNotFoundError(2, 'No such file'), VideoNotFoundError, 'the proxy is gone: .*copy'),
        (OSError(errno.ESTALE, 'Stale file'), VideoDiskError, r'copy\.frames: Stale file'),
        (OSError(errno.EIO, 'Input/output error'), VideoDiskError, r'copy\.frames: Input/output'),
        (ValueError('cannot mmap an empty file'), VideoError, r'copy\.frames: cannot mmap'),
    ],
)
def test_what_goes_wrong_between_looking_and_opening(copy, monkeypatch, error, kind, words):
    def fail(*args, **kwargs):
        raise error

    reader = ProxyReader(str(copy))
    monkeypatch.setattr(proxy_pack, 'open', fail, raising=False)
    with pytest.raises(VideoError, match=words) as caught:
        reader.get_frames(np.array([0]))
    assert type(caught.value) is kind


def test_a_disk_lost_while_open(copy):
    class Lost(bytes):
        def size(self):
            raise OSError(errno.ESTALE, 'Stale file handle')

    pack = open_pack(copy)
    with pytest.raises(VideoError, match=r'copy\.frames: Stale file handle'):
        proxy_pack.read_image_bytes(pack._replace(data=Lost(pack.data)), 0)


def test_a_lost_disk_is_not_looked_at(copy, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr('pathlib.Path.stat', fail)
    with pytest.raises(VideoError, match=r'cannot look at .*copy\.frames: Input/output error'):
        ProxyReader(str(copy))


def test_an_image_that_opencv_does_not_know(tmp_path):
    from mmvidssl.datasets.readers import PackWriter

    manifest = dict(source=dict(name='a.mp4'), settings=dict(format='heic'))
    with PackWriter(tmp_path / 'a.frames', manifest, np.zeros(1)) as writer:
        writer.append(b'heic')
        writer.finish()
    with pytest.raises(UndecodableVideoError, match=r'a\.frames .*cannot decode frame 0, a heic'):
        ProxyReader(str(tmp_path / 'a.frames')).get_frames(np.array([0]))


def test_a_proxy_is_known_by_its_name_whatever_the_config_says(proxy, short_video):
    assert isinstance(build_reader(str(proxy), DECORD), ProxyReader)
    assert isinstance(build_reader(str(short_video), DECORD), DecordReader)
    assert isinstance(ReaderCache().get(str(proxy), DECORD), ProxyReader)
    info = probe_video(str(proxy), DECORD)
    assert len(info.timestamps) == 20
    assert info.duration == pytest.approx(4)
    assert info.short_side == 64
