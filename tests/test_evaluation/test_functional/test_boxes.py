"""Overlap and success against the toolkit of GOT-10k and closed forms."""

import numpy as np
import pytest

from mmvidssl.evaluation import box_overlap, success_statistics
from tests.references.reference_figures import DATA


def test_figures_of_the_toolkit():
    with np.load(DATA / 'evaluation_small.npz') as arrays:
        overlaps = box_overlap(arrays['got_pred'], arrays['got_gt'], arrays['got_bound'])
        success = success_statistics(overlaps, arrays['got_cover'])
        for name in ('AO', 'SR50', 'SR75'):
            assert success[name] == pytest.approx(float(arrays[f'got_{name.lower()}']), abs=1e-9)


def test_overlaps_in_closed_form():
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 0, 0]])
    others = np.array([[0, 0, 4, 4], [2, 2, 4, 4], [4, 0, 4, 4], [0, 0, 0, 0]])
    assert box_overlap(boxes, others) == pytest.approx([1, 1 / 7, 0, 0])
    assert boxes.tolist()[0] == [0, 0, 4, 4]


def test_a_box_that_begins_outside_is_moved_not_cut():
    box = [[-4, -4, 8, 8]]
    assert box_overlap(box, [[0, 0, 8, 8]], bound=(20, 20)) == pytest.approx(1)
    assert box_overlap([[16, 0, 8, 8]], [[16, 0, 4, 8]], bound=(20, 20)) == pytest.approx(1)
    assert box_overlap(box, [[0, 0, 8, 8]]) == pytest.approx(16 / 112)


def test_what_counts():
    overlaps = np.array([0, 1, 0.5, 0.6, 0.1])
    success = success_statistics(overlaps, visible=[8, 8, 3, 1, 0])
    assert (success['AO'], success['SR50'], success['SR75']) == pytest.approx((0.7, 2 / 3, 1 / 3))
    assert success['curve'].shape == (101,)
    assert success['curve'][[0, 100]].tolist() == [1, 0]
    assert success_statistics(overlaps)['AO'] == pytest.approx(0.55)


def test_bad_input():
    with pytest.raises(ValueError, match=r'\(4,\)'):
        box_overlap([0, 0, 1, 1], [0, 0, 1, 1])
    with pytest.raises(ValueError, match=r'\(1, 4\)'):
        box_overlap(np.zeros((1, 4)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r'\(2,\)'):
        success_statistics([1, 1, 1], [1, 1])
    for overlaps, visible in (([1], None), ([1, 1], [1, 0])):
        with pytest.raises(ValueError, match='not visible'):
            success_statistics(overlaps, visible)
