"""The chosen frames are the right ones, whatever the codec, and from wherever decoding begins."""

import av
import numpy as np
import pytest

from mmvidssl.apis import proxy_source
from mmvidssl.apis.proxy_source import choose_frames, decode_frames, hash_file, inspect_source
from mmvidssl.datasets.readers import (
    DecordReader,
    EmptyVideoError,
    UndecodableVideoError,
    VideoNotFoundError,
)
from tests.utils_proxy import decode_all, rotate_video
from tests.utils_video import draw_frame, read_frame_number, write_video


def write_with_options(path, codec, options, size=(64, 96)):
    return write_video(path, 60, size, codec=codec, options=options)


X264 = 'keyint=12:min-keyint=12:scenecut=0:bframes=3:b-pyramid=normal'
KINDS = {
    'closed GOP': ('a.mp4', 'libx264', {'x264-params': X264}),
    'open GOP': ('a.mkv', 'libx264', {'x264-params': X264 + ':open-gop=1'}),
    'open GOP in TS': ('a.ts', 'libx264', {'x264-params': X264 + ':open-gop=1'}),
    'intra-refresh': ('a.mp4', 'libx264', {'x264-params': 'intra-refresh=1:keyint=12'}),
    'HEVC': ('a.mp4', 'libx265', {'x265-params': 'keyint=12:bframes=3:log-level=none'}),
    'VP9': ('a.webm', 'libvpx-vp9', {'g': '12', 'lag-in-frames': '10', 'auto-alt-ref': '1'}),
    'VP8': ('a.webm', 'libvpx', {'g': '12', 'lag-in-frames': '10', 'auto-alt-ref': '1'}),
    'AV1': ('a.mp4', 'libsvtav1', {'g': '12', 'preset': '12'}),
}


@pytest.fixture(scope='module', params=KINDS.values(), ids=KINDS)
def video(request, tmp_path_factory):
    name, codec, options = request.param
    if codec not in av.codecs_available:
        pytest.skip(f'PyAV was built without {codec}')
    return write_with_options(tmp_path_factory.mktemp('videos') / name, codec, options)


def test_times_are_those_of_the_frames(video):
    source = inspect_source(str(video))
    np.testing.assert_allclose(source.times, decode_all(video)[0], atol=1e-9)
    np.testing.assert_allclose(source.times - source.times[0], np.arange(60) / 10, atol=1e-3)
    assert source.size == (64, 96)


@pytest.mark.parametrize('num_threads', [1, 3])
def test_frames_are_those_that_decoding_everything_gives(video, num_threads):
    source, (_, expected) = inspect_source(str(video)), decode_all(video)
    chosen = np.array([0, 1, 5, 11, 12, 13, 29, 30, 44, 47, 58, 59])
    for start in range(len(chosen)):
        wanted = chosen[start:]
        frames = list(decode_frames(source, wanted, 1000, num_threads))
        assert [read_frame_number(frame) for frame in frames] == wanted.tolist()
        for frame, number in zip(frames, wanted, strict=True):
            np.testing.assert_array_equal(frame[..., ::-1], expected[number])


def test_shrinks_by_averaging(video):
    source, (_, expected) = inspect_source(str(video)), decode_all(video)
    (frame,) = decode_frames(source, np.array([20]), 32)
    average = expected[20].reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
    assert frame.shape == (32, 48, 3)
    assert np.abs(frame[..., ::-1] - average).mean() < 10  # colours are averaged before conversion


def test_nothing_wanted(video):
    assert list(decode_frames(inspect_source(str(video)), np.array([], int), 32)) == []


def test_a_container_without_times_of_frames(tmp_path):
    """FFmpeg gives the last two frames of this file the same time; the first of them is taken."""
    path = write_with_options(tmp_path / 'a.avi', 'mpeg4', {'g': '12', 'bf': '2'})
    source, (times, expected) = inspect_source(str(path)), decode_all(path)
    np.testing.assert_allclose(source.times, np.unique(times))
    frames = list(decode_frames(source, np.arange(0, 59, 7), 1000))
    for frame, number in zip(frames, range(0, 59, 7), strict=True):
        np.testing.assert_array_equal(frame[..., ::-1], expected[number])


@pytest.mark.parametrize('degrees', [90, 180, -90])
def test_rotated_frames_come_upright(short_video, tmp_path, degrees):
    path = rotate_video(short_video, tmp_path / 'turned.mp4', degrees)
    source = inspect_source(str(path))
    assert source.size == ((64, 96) if degrees == 180 else (96, 64))
    (frame,) = decode_frames(source, np.array([7]), 1000)
    np.testing.assert_array_equal(frame[..., ::-1], decode_all(path)[1][7])
    # and as another reader shows it
    other = DecordReader(str(path)).get_frames(np.array([7]))[0]
    assert np.abs(frame[..., ::-1].astype(float) - other).mean() < 3


@pytest.fixture(scope='module')
def short_video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('videos') / 'b.mp4', num_frames=40)


def test_odd_sizes(tmp_path):
    options = {'x264-params': 'bframes=2'}
    path = tmp_path / 'odd.mkv'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 97, 65, 'yuv444p'
        for number in range(12):
            pixels = draw_frame(number, (65, 97))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
        container.mux(stream.encode())
    source = inspect_source(str(path))
    frames = list(decode_frames(source, np.arange(12), 33))
    assert {frame.shape for frame in frames} == {(33, 49, 3)}


@pytest.mark.parametrize(
    'times, fps, expected',
    [
        (np.arange(40) / 10, 5, range(0, 40, 2)),
        (np.arange(40) / 10, 4, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30, 32, 35, 37]),
        (np.arange(40) / 10, 10, range(40)),
        (np.arange(5) / 2, 30, range(5)),  # slower than asked for: all frames, each once
        (np.arange(41) / 10 + 7, 1, range(0, 41, 10)),  # begins late
        (np.array([0, 0.4, 0.5, 0.9, 3.0, 3.1]), 1, [0, 3, 4]),  # a gap
        (np.array([5.0]), 4, [0]),
    ],
)
def test_chosen_are_the_frames_nearest_to_a_regular_grid(times, fps, expected):
    chosen = choose_frames(times, fps)
    assert chosen.tolist() == list(expected)
    grid = times[0] + np.arange(int((times[-1] - times[0]) * fps + 1e-6) + 1) / fps
    nearest = np.abs(times[:, None] - grid).min(axis=0)
    assert np.abs(times[chosen][:, None] - grid).min(axis=0) == pytest.approx(nearest)


def test_hash_and_its_progress(tmp_path, monkeypatch):
    import hashlib

    monkeypatch.setattr(proxy_source, 'BLOCK', 10)
    (tmp_path / 'a').write_bytes(b'x' * 25)
    told = []
    assert hash_file(str(tmp_path / 'a'), told.append) == hashlib.sha256(b'x' * 25).hexdigest()
    assert told == [0.4, 0.8, 1.0]


def test_missing_empty_and_other_files(tmp_path):
    with pytest.raises(VideoNotFoundError, match='gone'):
        inspect_source(str(tmp_path / 'gone.mp4'))
    (tmp_path / 'zero.mp4').touch()
    with pytest.raises(EmptyVideoError, match='zero'):
        inspect_source(str(tmp_path / 'zero.mp4'))
    (tmp_path / 'text.mp4').write_text('no video\n' * 50)
    with pytest.raises(UndecodableVideoError, match='text'):
        inspect_source(str(tmp_path / 'text.mp4'))


def test_sound_alone(tmp_path):
    path = tmp_path / 'sound.wav'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('pcm_s16le', rate=8000, layout='mono')
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout='mono')
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(UndecodableVideoError, match=r'no video stream in .*sound\.wav'):
        inspect_source(str(path))


@pytest.mark.parametrize('percent', [10, 50, 70, 99])
def test_a_cut_off_video_is_refused(tmp_path, percent):
    whole = write_with_options(
        tmp_path / 'a.mp4', 'libx264', {'x264-params': X264}, size=(128, 160)
    )
    fast = tmp_path / 'fast.mp4'
    with (
        av.open(str(whole)) as old,
        av.open(str(fast), 'w', container_options={'movflags': 'faststart'}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    for path in (whole, fast):
        path.write_bytes(path.read_bytes()[: path.stat().st_size * percent // 100])
        with pytest.raises(UndecodableVideoError, match=path.name):
            inspect_source(str(path))


def test_zeroed_blocks_inside_are_found(tmp_path):
    path = write_with_options(tmp_path / 'a.mp4', 'libx264', {'x264-params': X264}, size=(128, 160))
    data = bytearray(path.read_bytes())
    middle = data.index(b'mdat') + len(data) // 2
    data[middle : middle + 9000] = bytes(9000)
    path.write_bytes(data)
    source = inspect_source(str(path))
    with pytest.raises(UndecodableVideoError, match=r'cannot decode .*a\.mp4'):
        list(decode_frames(source, np.arange(0, 60, 3), 64))
