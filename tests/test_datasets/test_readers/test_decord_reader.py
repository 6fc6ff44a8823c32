import av
import numpy as np
import pytest

from mmvidssl.datasets.readers import (
    DecordReader,
    EmptyVideoError,
    VideoError,
    VideoNotFoundError,
)
from tests.utils_video import read_frame_number


def numbers(frames):
    return [read_frame_number(frame) for frame in frames]


def test_reads_exact_frames_in_any_order_with_repeats(video):
    inds = [99, 0, 5, 5, 98, 13, 97]
    frames = DecordReader(str(video)).get_frames(np.array(inds))
    assert frames.shape == (7, 64, 96, 3)
    assert frames.dtype == np.uint8
    assert numbers(frames) == inds


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


def test_is_opened_lazily(tmp_path):
    (tmp_path / 'text.mp4').write_text('no video')
    DecordReader(str(tmp_path / 'text.mp4'))  # no error before something is asked
