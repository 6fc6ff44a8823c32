"""J and F against DAVIS-2017's released code, and against scikit-image."""

import numpy as np
import pytest
from skimage.morphology import dilation, disk

from mmvidssl.evaluation import (
    contour_accuracy,
    davis_scores,
    davis_statistics,
    region_similarity,
)
from tests.references.reference_figures import DATA


@pytest.fixture(scope='module')
def figures():
    with np.load(DATA / 'evaluation_small.npz') as arrays:
        return dict(arrays)


def blobs(seed, shape=(5, 47, 61)):
    return np.random.default_rng(seed).random(shape).cumsum(1).cumsum(2) % 40 < 20


def test_scores_are_those_of_the_released_code(figures):
    scores = davis_scores(figures['davis_pred'], figures['davis_gt'])
    assert scores['J&F'] == pytest.approx(figures['davis_jf'], abs=1e-9)
    for name in 'JF':
        key = f'davis_{name.lower()}'
        np.testing.assert_allclose(scores[name], figures[key], atol=1e-9)
        parts = [scores[f'{name}-{part}'] for part in ('Mean', 'Recall', 'Decay')]
        np.testing.assert_allclose(np.stack(parts, 1), figures[f'{key}_stats'], atol=1e-9)


@pytest.mark.parametrize(('tolerance', 'pixels'), [(0.008, 1), (0.05, 4), (3, 3), (0, 0)])
def test_contour_accuracy_is_that_of_scikit_image(tolerance, pixels):
    masks = blobs(0), blobs(1)
    expected = []
    for pair in zip(*masks, strict=True):
        edges = []
        for mask in pair:
            edge = np.zeros_like(mask)
            edge[:-1] |= mask[:-1] != mask[1:]
            edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
            edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
            edges.append(edge)
        near = [dilation(edge, disk(pixels)) for edge in edges]
        precision = (edges[0] & near[1]).sum() / edges[0].sum()
        recall = (edges[1] & near[0]).sum() / edges[1].sum()
        expected.append(2 * precision * recall / (precision + recall))
    np.testing.assert_allclose(contour_accuracy(*masks, tolerance), expected, atol=1e-12)


def test_empty_full_and_disjoint_masks():
    empty, full = np.zeros((2, 9, 12), bool), np.ones((2, 9, 12), bool)
    left = empty.copy()
    left[..., :2] = True
    right = left[..., ::-1]
    for measure in (region_similarity, contour_accuracy):
        for mask in (empty, full, left):
            assert measure(mask, mask).tolist() == [1, 1]
        assert measure(left, right).tolist() == measure(left, empty).tolist() == [0, 0]
        assert measure(left[:0], left[:0]).shape == (0,)
    assert region_similarity(empty, full).tolist() == [0, 0]
    assert contour_accuracy(empty, full).tolist() == [1, 1]  # neither has a contour


def test_objects_may_touch_and_change_names():
    gt = np.zeros((4, 20, 30), np.uint8)
    gt[:, 5:15, 5:15], gt[:, 5:15, 15:25] = 1, 2
    pred = np.roll(gt, 1, axis=2)
    scores = davis_scores(pred, gt)
    swapped = davis_scores(*(np.array([0, 2, 1], np.uint8)[ids] for ids in (pred, gt)))
    np.testing.assert_array_equal(scores['J'], swapped['J'][::-1])
    np.testing.assert_allclose(scores['J'], 90 / 110)
    assert scores['F'].tolist() == [[1, 1], [1, 1]]
    assert davis_scores(gt, gt)['J&F'] == 1


def test_void_of_the_truth_is_background():
    gt = np.zeros((3, 8, 8), np.uint8)
    gt[:, 2:6, 2:6] = 1
    pred, gt[:, 0] = gt.copy(), 255
    assert davis_scores(pred, gt)['J&F'] == 1
    with pytest.raises(ValueError, match='id 255'):
        davis_scores(gt, gt)


def test_only_frames_between_first_and_last_count():
    gt = np.zeros((3, 8, 8), np.uint8)
    gt[:, 2:6, 2:6] = 1
    pred = gt.copy()
    pred[[0, 2]] = 7
    scores = davis_scores(pred, gt)
    assert scores['J'].shape == scores['F'].shape == (1, 1)
    assert scores['J&F'] == 1
    with pytest.raises(ValueError, match='got 2'):
        davis_scores(gt[:2], gt[:2])
    with pytest.raises(ValueError, match='id 7'):
        davis_scores(np.where(gt, 7, gt), gt)
    with pytest.raises(ValueError, match='no object'):
        davis_scores(gt * 0, gt * 0)


def test_statistics():
    assert davis_statistics([0.25]) == (0.25, 0, 0)
    assert davis_statistics([1, 1, 0.5, 0.5, 0, 0, 0, 0, 0]) == pytest.approx((1 / 3, 2 / 9, 5 / 6))
    falling = np.linspace(1, 0, 400)  # frames whose number does not fit 8 bits
    assert davis_statistics(falling).decay == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize('shape', [(4, 5), (1, 4, 5)])
def test_masks_of_another_shape_are_refused(shape):
    for measure in (region_similarity, contour_accuracy, davis_scores):
        with pytest.raises(ValueError, match=r'\(2, 4, 5\)'):
            measure(np.zeros(shape, bool), np.zeros((2, 4, 5), bool))
    with pytest.raises(ValueError, match='-1'):
        contour_accuracy(np.zeros((2, 4, 5)), np.zeros((2, 4, 5)), -1)
    with pytest.raises(ValueError, match='value'):
        davis_statistics([])
