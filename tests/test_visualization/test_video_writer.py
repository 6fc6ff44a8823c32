"""Videos that players show."""

import av
import numpy as np
import pytest

from mmvidssl.visualization import write_video


@pytest.mark.parametrize(('height', 'width'), [(32, 48), (33, 47)])
def test_written_video_is_h264_of_even_size_with_the_frames_in_order(tmp_path, height, width):
    levels = np.uint8([20, 90, 160, 230])
    frames = np.broadcast_to(levels[:, None, None, None], (4, height, width, 3))
    write_video(tmp_path / 'new' / 'clip.mp4', frames, fps=12.5)
    with av.open(str(tmp_path / 'new' / 'clip.mp4')) as container:
        stream = container.streams.video[0]
        decoded = [f.to_ndarray(format='rgb24') for f in container.decode(stream)]
        assert stream.codec_context.name == 'h264'
        assert stream.codec_context.pix_fmt == 'yuv420p'
        assert float(stream.average_rate) == pytest.approx(12.5)
    assert decoded[0].shape == (height + height % 2, width + width % 2, 3)
    np.testing.assert_allclose([f.mean() for f in decoded], levels, atol=3)


@pytest.mark.parametrize(
    ('frames', 'fps', 'message'),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), 5, 'at least one frame'),
        (np.zeros((2, 8, 8, 3), np.float32), 5, 'float32'),
        (np.zeros((2, 8, 8, 3), np.uint8), 0, 'fps'),
    ],
)
def test_misuse_is_refused_and_leaves_no_file(tmp_path, frames, fps, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / 'clip.mp4', frames, fps)
    assert not list(tmp_path.iterdir())
