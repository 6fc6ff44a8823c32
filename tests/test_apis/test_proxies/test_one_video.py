"""A proxy holds the right frames, at the video's own times, as the images that OpenCV makes."""

import errno
import json
import os
import shutil
from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from filelock import FileLock

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.apis.proxies import one_video
from mmvidssl.apis.proxies.one_video import _mp4_times, choose_frames
from mmvidssl.datasets.readers import ProxyReader, PyAVReader, VideoError, read_manifest
from tests.utils_video import read_frame_number, write_video

SETTINGS = ProxySettings(fps=5)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """40 frames at 10 fps."""
    return write_video(tmp_path_factory.mktemp('videos') / 'v.mp4', num_frames=40)


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'out' / 'v.proxy.mp4'


def decode(path):
    """Seconds, RGB frames and packets, with PyAV alone."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pixels = [frame.to_ndarray(format='rgb24') for frame in frames]
    return [float(frame.pts * frame.time_base) for frame in frames], pixels, packets


def decode_with_opencv(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while (frame := capture.read()[1]) is not None:
        frames.append(frame[..., ::-1])
    return frames


def jpegs_of(video, numbers, short_side=720, quality=90):
    """What OpenCV makes of frames of a video."""
    frames = PyAVReader(str(video)).get_frames(numbers, short_side)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return [cv2.imencode('.jpg', frame[..., ::-1], options)[1].tobytes() for frame in frames]


def test_frames_times_and_images(video, path):
    told = []
    made = make_proxy(video, path, SETTINGS, progress=told.append)
    assert made == (str(path), 20, path.stat().st_size, True)
    numbers = np.arange(0, 40, 2)
    times, frames, packets = decode(path)
    assert times == PyAVReader(str(video)).timestamps[numbers].tolist()
    assert packets == jpegs_of(video, numbers)
    assert [read_frame_number(frame) for frame in frames] == numbers.tolist()
    others = decode_with_opencv(path)
    np.testing.assert_allclose(np.array(others, float), frames, atol=2)
    assert told[-1] == 1.0
    names = ['.v.proxy.mp4.lock', 'v.proxy.json', 'v.proxy.mp4']
    assert sorted(os.listdir(path.parent)) == names


@pytest.mark.parametrize('kind, options', [('mjpeg', dict(quality=60)), ('h264', dict(crf=15))])
def test_settings(video, path, kind, options):
    make_proxy(video, path, ProxySettings(short_side=32, fps=4, codec=kind, **options))
    times, frames, packets = decode(path)
    numbers = choose_frames(PyAVReader(str(video)).timestamps, 4)
    assert len(times) == len(numbers) == 16 and frames[0].shape == (32, 48, 3)
    if kind == 'mjpeg':
        assert packets == jpegs_of(video, numbers, 32, quality=60)
    expected = PyAVReader(str(video)).get_frames(numbers, 32)
    assert np.abs(np.array(frames, float) - expected).mean() < 20
    with av.open(str(path)) as container:
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)


RNG = np.random.default_rng(0)
UNEVEN = np.cumsum(RNG.integers(1, 200, 20))


@pytest.mark.parametrize(
    'name, settings',
    {
        'variable rate': ('a.mkv', dict(timestamps=UNEVEN / 1000)),
        'variable rate, 90 kHz': (
            'a.mp4',
            dict(timestamps=UNEVEN / 90_000, time_base=Fraction(1, 90_000)),
        ),
        'film': ('a.mp4', dict(fps=Fraction(24000, 1001), time_base=Fraction(1001, 24000))),
        'begins late': ('a.mp4', dict(shift=1 / 3, time_base=Fraction(1, 30_000))),
        'AVI': ('a.avi', dict(codec='mpeg4', time_base=Fraction(1, 10), num_b_frames=0)),
        'odd size, all colours': ('a.mkv', dict(size=(65, 97), pix_fmt='yuv444p')),
    }.values(),
)
@pytest.mark.parametrize('codec', ['mjpeg', 'h264'])
def test_times_are_exactly_those_of_the_video(tmp_path, path, name, settings, codec):
    video = write_video(tmp_path / name, 20, **settings)
    source = PyAVReader(str(video))
    make_proxy(video, path, ProxySettings(fps=1e5, codec=codec))
    times, frames, _ = decode(path)
    assert len(times) == 20
    np.testing.assert_allclose(times, source.timestamps, atol=1e-9, rtol=0)
    np.testing.assert_array_equal(ProxyReader(str(path)).timestamps, source.timestamps)
    assert [read_frame_number(frame) for frame in frames] == list(range(20))
    assert frames[0].shape == settings.get('size', (64, 96)) + (3,)


def test_clocks_that_mp4_cannot_show():
    index = SimpleNamespace(time_base=Fraction(1, 10**9), pts=np.array([0, 33_366_700, 10**12]))
    pts, unit = _mp4_times(index, np.arange(3))
    assert pts.tolist() == [0, 1001, 30_000_000] and unit == Fraction(1, 30_000)
    early = SimpleNamespace(time_base=Fraction(2, 25), pts=np.array([-3, 0, 5]))
    pts, unit = _mp4_times(early, np.array([0, 2]))
    assert pts.tolist() == [0, 16] and unit == Fraction(1, 25)


def test_frames_come_upright(tmp_path, path):
    make_proxy(write_video(tmp_path / 'v.mp4', 4, matrix=(0, 1, 1, 0)), path, SETTINGS)
    _, frames, _ = decode(path)
    assert [read_frame_number(frame.swapaxes(0, 1)) for frame in frames] == [0, 2]


def test_manifest(video, path):
    make_proxy(video, path, SETTINGS)
    manifest = read_manifest(path)
    assert manifest['settings'] == dict(
        short_side=720, fps=5.0, codec='mjpeg', quality=90, crf=None
    )
    assert manifest['num_frames'] == 20 and manifest['bytes'] == path.stat().st_size
    source = manifest['source']
    assert (source['name'], source['bytes']) == ('v.mp4', video.stat().st_size)
    assert source['sha256'] == one_video.hash_file(video)
    assert source['num_frames'] == 40 and source['duration'] == pytest.approx(3.9)


@pytest.mark.parametrize(
    'times, fps, expected',
    [
        (np.arange(40) / 10, 5, range(0, 40, 2)),
        (np.arange(40) / 10, 4, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30, 32, 35, 37]),
        (np.arange(5) / 2, 30, range(5)),  # slower than asked for: all frames, each once
        (np.arange(41) / 10 + 7, 1, range(0, 41, 10)),  # begins late
        (np.array([0, 0.4, 0.5, 0.9, 3.0, 3.1]), 1, [0, 3, 4]),  # a gap
        (np.array([5.0]), 4, [0]),
    ],
)
def test_chosen_are_the_frames_nearest_to_a_regular_grid(times, fps, expected):
    assert choose_frames(times, fps).tolist() == list(expected)


def test_a_finished_one_is_left_alone(video, path, tmp_path):
    make_proxy(video, path, SETTINGS)
    before = path.stat()
    again = make_proxy(shutil.copy(video, tmp_path / 'copy.mp4'), path, SETTINGS)
    assert (again.num_frames, again.is_new) == (20, False)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert make_proxy(video, path, SETTINGS, overwrite=True).is_new
    assert path.stat().st_ino != before.st_ino


def test_another_one_is_not_replaced_unasked(video, path, tmp_path):
    make_proxy(video, path, SETTINGS)
    with pytest.raises(ValueError, match=r"'fps': 5\.0"):
        make_proxy(video, path, SETTINGS._replace(fps=2))
    with pytest.raises(ValueError, match='another video'):
        make_proxy(write_video(tmp_path / 'b.mp4'), path, SETTINGS)
    assert ProxyReader(str(path)).num_frames == 20


@pytest.mark.parametrize('damage', ['cut off', 'no manifest', 'bad manifest', 'too few frames'])
def test_a_damaged_one_is_made_again(video, path, damage):
    make_proxy(video, path, SETTINGS)
    whole, manifest = path.read_bytes(), path.with_suffix('.json')
    if damage == 'cut off':
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == 'no manifest':  # killed before it was written
        manifest.unlink()
    elif damage == 'bad manifest':
        manifest.write_text('{')
    else:
        manifest.write_text(json.dumps(dict(read_manifest(path), num_frames=1)))
    assert make_proxy(video, path, SETTINGS).is_new
    assert path.read_bytes() == whole and read_manifest(path)['num_frames'] == 20


def test_a_source_that_changes_meanwhile(video, path, tmp_path):
    source = shutil.copy(video, tmp_path / 'v.mp4')
    with pytest.raises(VideoError, match=r'v\.mp4 was changed'):
        make_proxy(source, path, SETTINGS, progress=lambda *_: os.utime(source))
    assert os.listdir(path.parent) == ['.v.proxy.mp4.lock']


def test_another_process_makes_it(video, path, monkeypatch):
    monkeypatch.setattr(one_video, 'SECONDS_TO_WAIT', 0.1)
    path.parent.mkdir()
    with (
        FileLock(path.parent / '.v.proxy.mp4.lock'),
        pytest.raises(VideoError, match=r'v\.proxy\.mp4'),
    ):
        make_proxy(video, path, SETTINGS)
    assert make_proxy(video, path, SETTINGS).is_new


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks(video, path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr('fcntl.flock', flock)
    with pytest.warns(UserWarning, match='cannot lock'):
        assert make_proxy(video, path, SETTINGS).is_new


def test_frames_too_large_for_jpeg(tmp_path, path):
    video = write_video(tmp_path / 'v.mkv', 2, (32, 65504), codec='ffv1')
    with pytest.raises(VideoError, match='65504 x 32 pixels'):
        make_proxy(video, path, SETTINGS)
    assert not path.exists()


def test_one_frame(tmp_path, path):
    make_proxy(write_video(tmp_path / 'v.mp4', num_frames=1), path, ProxySettings(fps=4))
    reader = ProxyReader(str(path))
    assert reader.num_frames == 1 and reader.fps == 4


def test_a_broken_source_leaves_nothing(video, path, tmp_path):
    data = bytearray(video.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 9000] = bytes(9000)
    (tmp_path / 'v.mp4').write_bytes(data)
    with pytest.raises(VideoError, match=r'v\.mp4'):
        make_proxy(tmp_path / 'v.mp4', path, ProxySettings(fps=10))
    assert not list(tmp_path.rglob('v.proxy*'))


@pytest.mark.parametrize(
    'settings, word',
    [
        (dict(short_side=0), 'short_side'),
        (dict(fps=0), 'fps'),
        (dict(fps=float('inf')), 'fps'),
        (dict(codec='png'), 'quality=100'),
        (dict(quality=0), 'quality=0'),
        (dict(quality=101), 'quality=101'),
        (dict(crf=20), 'crf=20'),
        (dict(codec='h264', crf=52), 'crf=52'),
        (dict(codec='h264', quality=90), 'quality=90'),
    ],
)
def test_impossible_settings(video, path, settings, word):
    with pytest.raises(ValueError, match=word):
        make_proxy(video, path, ProxySettings(**settings))


def test_a_name_that_says_no_proxy(video, tmp_path):
    with pytest.raises(ValueError, match=r'\.proxy\.mp4'):
        make_proxy(video, tmp_path / 'v.mp4')
