import cv2
import numpy as np
import pytest

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.datasets.readers import (
    DecordReader,
    ProxyReader,
    PyAVReader,
    ReaderCache,
    UndecodableVideoError,
    build_reader,
    probe_video,
    proxy_reader,
    read_manifest,
)
from mmvidssl.datasets.readers.base import shrink_frame
from mmvidssl.datasets.readers.video_index import build_index
from tests.utils_video import read_frame_number, write_video

DECORD = dict(type='DecordReader')


@pytest.fixture(scope='module', params=['mjpeg', 'h264'])
def proxy(request, short_video, tmp_path_factory):
    """Frames 0, 2, 4 ... 38 of the short video (10 fps)."""
    path = tmp_path_factory.mktemp('proxies') / 'b.proxy.mp4'
    make_proxy(short_video, path, ProxySettings(fps=5, codec=request.param))
    return path


@pytest.fixture
def reader(proxy):
    return ProxyReader(str(proxy))


def images_of(path):
    """Positions, sizes and bytes of the JPEG images in a file."""
    entries = []
    with proxy_reader.open_video(path) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'mjpeg'
        data = path.read_bytes()
        for entry in stream.index_entries:
            entries.append((entry.pos, entry.size, data[entry.pos : entry.pos + entry.size]))
    return entries


def test_the_table_says_what_the_packets_say(reader, monkeypatch):
    monkeypatch.setattr(proxy_reader, 'load_index', lambda path: 1 / 0)  # not asked
    packets = build_index(reader.path)
    for name, found in reader.index._asdict().items():
        if name != 'key_crcs':
            np.testing.assert_array_equal(found, getattr(packets, name), err_msg=name)
    assert reader.num_frames == 20
    assert reader.fps == pytest.approx(5)
    np.testing.assert_array_equal(reader.timestamps, np.arange(20) / 5)
    assert reader.manifest['source']['name'] == 'b.mp4'


def test_frames(reader):
    inds = np.array([7, 0, 19, 7])
    frames = reader.get_frames(inds)
    assert frames.shape == (4, 64, 96, 3) and frames.dtype == np.uint8
    assert [read_frame_number(frame) for frame in frames] == (2 * inds).tolist()
    by_time = reader.get_frames(times=[0.29, 0.31, 100.0])
    assert [read_frame_number(frame) for frame in by_time] == [2, 4, 38]
    small = reader.get_frames(inds, short_side=32)
    np.testing.assert_array_equal(small, [shrink_frame(frame, 32) for frame in frames])
    reader.close()
    np.testing.assert_array_equal(reader.get_frames(inds), frames)
    with pytest.raises(IndexError, match=r'b\.proxy\.mp4'):
        reader.get_frames(np.array([20]))


def test_other_readers_read_it_as_any_video(proxy, reader):
    frames = reader.get_frames(np.arange(20)).astype(float)
    for other in (PyAVReader(str(proxy)), DecordReader(str(proxy))):
        np.testing.assert_array_equal(other.timestamps, reader.timestamps)
        found = other.get_frames(np.arange(20))
        assert [read_frame_number(frame) for frame in found] == list(range(0, 40, 2))
        assert np.abs(found - frames).mean() < 12  # colours are widened otherwise


def test_images_are_decoded_as_opencv_does(short_video, tmp_path):
    path = tmp_path / 'b.proxy.mp4'
    make_proxy(short_video, path, ProxySettings(fps=5))
    images = [np.frombuffer(image, np.uint8) for *_, image in images_of(path)]
    expected = [cv2.imdecode(image, cv2.IMREAD_COLOR)[..., ::-1] for image in images]
    np.testing.assert_array_equal(ProxyReader(str(path)).get_frames(np.arange(20)), expected)


@pytest.mark.parametrize('place', ['start', 'end'])
def test_a_damaged_image_is_refused(short_video, tmp_path, place):
    path = tmp_path / 'b.proxy.mp4'
    make_proxy(short_video, path, ProxySettings(fps=5))
    data = bytearray(path.read_bytes())
    position, size, _ = images_of(path)[3]
    first = position if place == 'start' else position + size - 9
    data[first : first + 9] = bytes(9)
    path.write_bytes(data)
    reader = ProxyReader(str(path))
    with pytest.raises(UndecodableVideoError, match=r'frame 3 of .*b\.proxy\.mp4'):
        reader.get_frames(np.array([2, 3]))
    assert read_frame_number(reader.get_frames(np.array([2]))[0]) == 4


@pytest.mark.parametrize('percent', [1, 50, 99])
def test_a_cut_off_file_is_refused(proxy, tmp_path, percent):
    data = proxy.read_bytes()
    path = tmp_path / 'a.proxy.mp4'
    path.write_bytes(data[: len(data) * percent // 100])
    with pytest.raises(UndecodableVideoError, match=r'a\.proxy\.mp4'):
        ProxyReader(str(path)).get_frames(np.array([0]))


def test_a_video_that_is_only_called_a_proxy(tmp_path):
    path = write_video(tmp_path / 'a.proxy.mp4', 30, shift=-0.35)
    reader, usual = ProxyReader(str(path)), PyAVReader(str(path))
    np.testing.assert_array_equal(reader.timestamps, usual.timestamps)
    inds = np.arange(reader.num_frames)
    np.testing.assert_array_equal(reader.get_frames(inds), usual.get_frames(inds))
    with pytest.raises(FileNotFoundError, match=r'a\.proxy\.json'):
        read_manifest(path)


@pytest.mark.parametrize('text', ['{', '[1]', '{"source": 1}'])
def test_another_file_in_place_of_the_manifest(tmp_path, text):
    (tmp_path / 'a.proxy.json').write_text(text)
    with pytest.raises(UndecodableVideoError, match=r'a\.proxy\.json'):
        read_manifest(tmp_path / 'a.proxy.mp4')


def test_a_proxy_is_known_by_its_name_whatever_the_config_says(proxy, short_video):
    assert isinstance(build_reader(str(proxy), DECORD), ProxyReader)
    assert isinstance(build_reader(str(short_video), DECORD), DecordReader)
    assert isinstance(ReaderCache().get(str(proxy), DECORD), ProxyReader)
    info = probe_video(str(proxy), DECORD)
    assert len(info.timestamps) == 20 and info.short_side == 64
    assert info.duration == pytest.approx(4)


def test_a_proxy_of_an_older_version_is_refused(tmp_path):
    (tmp_path / 'a.frames').write_bytes(b'\x89VSSLPX\n')
    with pytest.raises(UndecodableVideoError, match=r'a\.frames .*make_proxy\.py'):
        build_reader(str(tmp_path / 'a.frames'), dict(type='PyAVReader'))
