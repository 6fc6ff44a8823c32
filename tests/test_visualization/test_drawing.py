"""Pictures and videos of tracked objects."""

import av
import cv2
import numpy as np
import pytest

from mmvidssl.visualization import (
    mask_grid,
    overlay_masks,
    picture_strip,
    picture_table,
    write_image,
    write_video,
)
from mmvidssl.visualization.drawing import PALETTE


def test_only_masked_pixels_change_and_tokens_keep_their_edges():
    frames = np.full((2, 8, 12, 3), 100, np.uint8)
    masks = np.zeros((1, 2, 2, 3), bool)
    masks[0, 1, 0, 2] = True
    painted = overlay_masks(frames, masks, opacity=0.5)
    changed = (painted != frames).any(-1)
    assert not changed[0].any()
    assert changed[1, :4, 8:].all() and changed[1].sum() == 16
    expected = np.round(100 + 0.5 * (np.float32(PALETTE[0]) - 100))
    np.testing.assert_array_equal(painted[1, 0, 8], expected)


def test_float_maps_are_enlarged_smoothly_and_stay_in_range():
    frames = np.full((1, 32, 32, 3), 255, np.uint8)
    maps = np.zeros((1, 1, 4, 4), np.float32)
    maps[0, 0, 1, 1] = 1
    painted = overlay_masks(frames, maps, palette=((0, 0, 0),), opacity=1.0)
    assert len(np.unique(painted)) > 10
    assert painted[0, 12, 12, 0] < 60 and painted[0, -1, -1, 0] == 255


def test_later_object_lies_on_top():
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    masks = np.ones((2, 1, 1, 1), bool)
    painted = overlay_masks(frames, masks, palette=((255, 0, 0), (0, 255, 0)), opacity=1.0)
    np.testing.assert_array_equal(painted[0, 0, 0], (0, 255, 0))


@pytest.mark.parametrize(
    ('frames', 'masks', 'message'),
    [
        (np.zeros((2, 8, 8, 3), np.float32), np.zeros((1, 2, 2, 2), bool), 'uint8'),
        (np.zeros((2, 8, 8), np.uint8), np.zeros((1, 2, 2, 2), bool), r'\(2, 8, 8\)'),
        (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((1, 3, 2, 2), bool), '2 frames'),
    ],
)
def test_wrong_shapes_are_named(frames, masks, message):
    with pytest.raises(ValueError, match=message):
        overlay_masks(frames, masks)


def test_grid_has_a_row_per_object_between_frames_and_all_together(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (3, 8, 10, 3), np.uint8)
    masks = np.zeros((2, 3, 2, 2), bool)
    masks[0, :, 0] = masks[1, :, 1] = True
    grid = mask_grid(frames, masks, gap=2)
    assert grid.shape == (4 * 8 + 3 * 2, 3 * 10 + 2 * 2, 3)
    np.testing.assert_array_equal(grid[:8, 12:22], frames[1])
    np.testing.assert_array_equal(grid[-8:, :10], overlay_masks(frames, masks)[0])
    write_image(tmp_path / 'new' / 'grid.png', grid)
    back = cv2.imread(str(tmp_path / 'new' / 'grid.png'))[..., ::-1]
    np.testing.assert_array_equal(back, grid)
    assert [p.name for p in (tmp_path / 'new').iterdir()] == ['grid.png']


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
def test_a_video_that_cannot_be_leaves_no_file(tmp_path, frames, fps, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / 'clip.mp4', frames, fps)
    assert not list(tmp_path.iterdir())


def test_columns_lie_under_their_names():
    columns = {'dark': np.zeros((2, 30, 80, 3), np.uint8)}
    columns['a grey'] = np.full((2, 30, 80, 3), 90, np.uint8)
    table = picture_table(columns)
    assert table.shape == (28 + 64, 164, 3)
    body = table[28:]
    np.testing.assert_array_equal(body[:30, :80], columns['dark'][0])
    np.testing.assert_array_equal(body[34:, 84:], columns['a grey'][1])
    assert (body[30:34] == 255).all() and (body[:, 80:84] == 255).all()
    for start in (0, 84):
        ink = np.nonzero((table[:28, start : start + 80] < 128).any(axis=(0, 2)))[0]
        assert ink.mean() == pytest.approx(40, abs=4) and np.ptp(ink) > 30


def test_a_strip_spreads_its_rows_evenly():
    levels = np.uint8(range(0, 200, 10))[:, None, None, None]
    strip = picture_strip({'a': np.broadcast_to(levels, (20, 12, 90, 3))}, max_rows=3)
    assert strip.shape == (28 + 3 * 16 - 4, 90, 3)
    assert strip[[28, 44, 60], 0, 0].tolist() == [0, 100, 190]
    for name in ('w' * 9, 'w' * 90):  # written small; its middle left out
        long = picture_table({name: np.zeros((1, 9, 60, 3), np.uint8)})
        ink = np.nonzero((long[:28] < 200).any(axis=(0, 2)))[0]
        assert np.ptp(ink) > 30 and ink.min() > 0 and ink.max() < 59
        assert np.ptp(np.nonzero((long[:28] < 200).any(axis=(1, 2)))[0]) >= 4
