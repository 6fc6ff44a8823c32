"""Pictures of objects: colours and places of what is drawn."""

import cv2
import numpy as np

from mmvidssl.visualization import assignment_sheet, attention_sheet, track_columns, view_columns
from mmvidssl.visualization.drawing import PALETTE, heat_map
from mmvidssl.visualization.objects import brightness

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
HEADER, STEP = 28, (40 + 4 + 28, 60 + 4)  # height of names; from one picture of a sheet to the next


def cell(sheet, row, column):
    """A picture of a sheet."""
    top, left = HEADER + row * STEP[0], column * STEP[1]
    return sheet[top : top + 40, left : left + 60]


def test_heat_maps_are_opencvs_and_keep_the_edges_of_cells():
    ramp = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[
        :, 0, ::-1
    ]
    drawn = heat_map(np.float32([[0, 0.5, 1]]), (4, 9))
    np.testing.assert_array_equal(drawn, np.tile(ramp[[0, 128, 255]].repeat(3, 0), (4, 1, 1)))


def test_attention_of_each_head_has_its_place_and_its_own_scale():
    attention = np.zeros((6, 2, 3), np.float32)
    attention[range(6), 0, 1] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    sheet = attention_sheet(FRAMES[0], attention, used=(0, 3))
    assert sheet.shape == (2 * STEP[0] - 4, 4 * STEP[1] - 4, 3)
    np.testing.assert_array_equal(cell(sheet, 0, 0), FRAMES[0])
    expected = heat_map(np.float32([[0, 1, 0], [0, 0, 0]]), (40, 60))  # brightest at most
    for place in range(1, 7):
        np.testing.assert_array_equal(cell(sheet, *divmod(place, 4)), expected)
    assert (cell(sheet, 1, 3) == 255).all()


def test_assignment_mixes_the_colours_by_their_shares():
    before = np.full((2, 2, 3), 0.5, np.float32)
    after = np.stack((np.eye(2, 3), 1 - np.eye(2, 3))).astype(np.float32)
    sheet = assignment_sheet(FRAMES[0], before, after)
    mixed = np.round(np.float32(PALETTE[:2]).mean(0))
    np.testing.assert_array_equal(cell(sheet, 0, 1)[5, 5], mixed)
    np.testing.assert_array_equal(cell(sheet, 1, 1)[[5, 5], [5, 25]], PALETTE[:2])
    np.testing.assert_array_equal(cell(sheet, 1, 3), heat_map(after[1], (40, 60)))
    assert len(assignment_sheet(FRAMES[0], before)) == STEP[0] - 4


def test_tracks_are_painted_on_grey_in_each_objects_colour():
    maps = np.zeros((2, 2, 2, 3), np.float32)
    maps[0] = maps[1, 0] = maps[1, 1, 0, 0] = 0.2
    columns = track_columns(FRAMES, maps, maps > 0.1)
    assert list(columns) == ['frame', 'object 1', 'object 2', 'masks']
    grey = FRAMES.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    painted = grey + 0.9 * (np.float32(PALETTE[0]) - grey)
    np.testing.assert_allclose(columns['object 1'], painted, atol=2)
    far = columns['object 2'][1, 31:, :30]  # from the one cell
    np.testing.assert_allclose(far, grey[1, 31:, :30], atol=1)
    masked = grey + 0.55 * (np.float32(PALETTE[0]) - grey)
    np.testing.assert_allclose(columns['masks'][1, 31:, :30], masked[1, 31:, :30], atol=2)


def test_a_few_hot_patches_do_not_hide_the_rest():
    maps = np.arange(100.0).reshape(1, 10, 10)
    maps[0, 9, 8:] = 1e6
    expected = (np.arange(100) / np.percentile(maps, 98)).clip(0, 1)
    expected[98:] = 1
    np.testing.assert_allclose(brightness(maps).ravel(), expected)
    assert brightness(np.eye(8))[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


def test_a_view_is_what_its_mask_leaves():
    masks = np.zeros((1, 2, 2, 3), np.float32)
    masks[0, :, 0, 0], masks[0, :, 1, 2] = 1, 0.5
    view = view_columns(FRAMES, masks, fill=(10, 20, 30))['student sees 1']
    np.testing.assert_array_equal(view[:, :20, :20], FRAMES[:, :20, :20])
    half = np.float32(FRAMES[:, 20:, 40:]) / 2 + np.float32((5, 10, 15))
    np.testing.assert_array_equal(view[:, 20:, 40:], half.round())
    assert (view[:, :20, 20:] == (10, 20, 30)).all()
    np.testing.assert_array_equal(view_columns(FRAMES, masks == 1, (1, 2, 3))['frame'], FRAMES)
