import av
import numpy as np
import pytest

from mmvidssl.datasets.readers import (
    DecordReader,
    EmptyVideoError,
    UndecodableVideoError,
    VideoError,
    VideoNotFoundError,
)
from tests.utils_video import draw_frame, read_frame_number, write_video


def numbers(frames):
    return [read_frame_number(frame) for frame in frames]


def test_tells_frames_rate_and_times(video):
    reader = DecordReader(str(video))
    assert reader.num_frames == 100
    assert reader.fps == pytest.approx(10)
    assert reader.timestamps.dtype == np.float64
    np.testing.assert_allclose(reader.timestamps, np.arange(100) / 10, atol=1e-6)


def test_reads_exact_frames_in_any_order_with_repeats(video):
    inds = [99, 0, 5, 5, 98, 13, 97]
    frames = DecordReader(str(video)).get_frames(np.array(inds))
    assert frames.shape == (7, 64, 96, 3)
    assert frames.dtype == np.uint8
    assert numbers(frames) == inds


def test_reads_every_frame_across_keyframes_and_b_frames(video):
    assert numbers(DecordReader(str(video)).get_frames(np.arange(100))) == list(range(100))


def test_frames_are_rgb(tmp_path):
    path = write_video(tmp_path / 'v.mp4', num_frames=2)
    cell = DecordReader(str(path)).get_frames(np.array([0]))[0, 16:24, 16:24].mean(axis=(0, 1))
    np.testing.assert_allclose(cell, draw_frame(0, (64, 96))[20, 20], atol=40)
    assert np.ptp(draw_frame(0, (64, 96))[20, 20].astype(int)) > 100  # red and blue differ


@pytest.mark.parametrize('width', [16, 48])
def test_frames_narrower_than_decords_line_padding(tmp_path, width):
    frame = np.zeros((48, width, 3), np.uint8)
    frame[:, : width // 2], frame[:, width // 2 :] = (200, 30, 60), (10, 160, 220)
    path = tmp_path / 'narrow.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.width, stream.height, stream.pix_fmt = width, 48, 'yuv420p'
        for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')):
            container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    read = DecordReader(str(path)).get_frames(np.array([0]))[0]
    assert read.shape == frame.shape
    np.testing.assert_allclose(read[:, [2, -3]], frame[:, [2, -3]], atol=6)


def test_true_times_of_a_variable_frame_rate(tmp_path):
    times = [0.0, 0.1, 0.2, 0.7, 0.75, 0.8, 2.0]
    path = write_video(tmp_path / 'v.mp4', timestamps=times)
    np.testing.assert_allclose(DecordReader(str(path)).timestamps, times, atol=1e-3)


def test_short_side_shrinks_and_never_enlarges(video):
    reader = DecordReader(str(video))
    assert reader.get_frames(np.array([3]), short_side=32).shape == (1, 32, 48, 3)
    assert reader.get_frames(np.array([3]), short_side=640).shape == (1, 64, 96, 3)


def test_reads_on_after_close(video):
    reader = DecordReader(str(video))
    reader.get_frames(np.array([1]))
    reader.close()
    assert numbers(reader.get_frames(np.array([2]))) == [2]


@pytest.mark.parametrize('inds', [[100], [-1], [0, 1000]])
def test_frames_outside_the_video(video, inds):
    with pytest.raises(IndexError, match=r'a\.mp4.*0\.\.99'):
        DecordReader(str(video)).get_frames(np.array(inds))


def test_no_frames_asked_for(video):
    with pytest.raises(ValueError, match='non-empty'):
        DecordReader(str(video)).get_frames(np.array([]))


def test_missing_file(tmp_path):
    with pytest.raises(VideoNotFoundError, match=r'gone\.mp4') as caught:
        DecordReader(str(tmp_path / 'gone.mp4'))
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, VideoError)


def test_empty_file(tmp_path):
    (tmp_path / 'zero.mp4').touch()
    with pytest.raises(EmptyVideoError, match=r'zero\.mp4'):
        DecordReader(str(tmp_path / 'zero.mp4'))


def test_folder(tmp_path):
    with pytest.raises(VideoError, match='must be a file'):
        DecordReader(str(tmp_path))


def test_text_file(tmp_path):
    (tmp_path / 'text.mp4').write_text('This is no video.\n' * 100)
    with pytest.raises(UndecodableVideoError, match=r'text\.mp4'):
        _ = DecordReader(str(tmp_path / 'text.mp4')).num_frames


def test_truncated_file(video, tmp_path):
    data = video.read_bytes()
    (tmp_path / 'cut.mp4').write_bytes(data[: len(data) // 2])
    with pytest.raises(UndecodableVideoError, match=r'cut\.mp4'):
        _ = DecordReader(str(tmp_path / 'cut.mp4')).num_frames


def test_audio_only_file(tmp_path):
    import av

    path = tmp_path / 'sound.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('aac', rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), 'fltp', 'mono')
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r'sound\.mp4'):
        _ = DecordReader(str(path)).num_frames


def test_is_opened_lazily(tmp_path):
    (tmp_path / 'text.mp4').write_text('no video')
    DecordReader(str(tmp_path / 'text.mp4'))  # no error before something is asked
