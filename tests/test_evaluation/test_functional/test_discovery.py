"""Object discovery against the released code's figures, and against loops and other formulas."""

import numpy as np
import pytest
import torch

from mmvidssl.evaluation import (
    attention_box,
    attention_jaccard,
    corloc,
    lost_box,
    tokencut_box,
)
from tests.references.reference_figures import DATA

EMPTY = np.zeros((0, 4))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def scene(grid, rows, columns, seed=0):
    """Patches of an object point one way, those around it another; and the object's box."""
    features = 0.1 * noise(*grid, 8, seed=seed)
    features[..., 0] += 1
    features[rows, columns, 0] -= 2
    return features, [16 * s for s in (columns.start, rows.start, columns.stop, rows.stop)]


def around(mask, seed):
    """The box of the connected patches around one, by a walk."""
    todo, found = [seed], set()
    while todo:
        row, column = place = todo.pop()
        inside = 0 <= row < len(mask) and 0 <= column < len(mask[0])
        if inside and place not in found and mask[row][column]:
            found.add(place)
            todo += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    rows, columns = zip(*found, strict=True)
    return [min(columns), min(rows), max(columns) + 1, max(rows) + 1]


def naive_lost(features, k):
    """Patch by patch."""
    places = [*np.ndindex(features.shape[:2])]
    product = {(a, b): sum(features[a] * features[b]) for a in places for b in places}
    degree = {a: sum(product[a, b] > 0 for b in places if b != a) for a in places}
    order = sorted(places, key=degree.__getitem__)
    similar = [a for a in order[:k] if product[order[0], a] > 0]
    mask = np.zeros(features.shape[:2], bool)
    for place in places:
        mask[place] = sum(product[place, a] for a in similar) > 0
    return around(mask, order[0])


def test_lost_gives_the_figures_of_the_released_code():
    figures = np.load(DATA / 'evaluation_small.npz')
    k, patch = int(figures['lost_k']), int(figures['lost_scale'])
    for features in (figures['lost_features'], torch.from_numpy(figures['lost_features'])):
        np.testing.assert_array_equal(lost_box(features, k, patch), figures['lost_box'])


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('k', [1, 4, 100])
def test_lost_is_the_naive_loop(seed, k):
    features = noise(5, 7, 3, seed=seed)
    assert lost_box(features, k, 1).tolist() == naive_lost(features, k)


def test_tokencut_is_the_cut_of_the_normalised_laplacian():
    """By the standard eigenvalue problem, solved by NumPy: the split and the side's component."""
    for seed in (0, 8, 32, 40, 54):  # of all but the first, some values are between 0 and the mean
        features = noise(6, 5, 4, seed=seed)
        unit = features.reshape(30, 4) / np.linalg.norm(features.reshape(30, 4, 1), axis=1)
        weights = np.array([[1 if a @ b > 0.2 else 1e-5 for b in unit] for a in unit])
        root = np.diag(weights.sum(0) ** -0.5)
        vector = root @ np.linalg.eigh(np.eye(30) - root @ weights @ root)[1][:, 1]
        strongest = np.abs(vector).argmax()
        side = np.sign(vector - vector.mean()) == np.sign(vector - vector.mean())[strongest]
        expected = around(side.reshape(6, 5), divmod(int(strongest), 5))
        assert tokencut_box(features, 8).tolist() == [8 * corner for corner in expected]


def test_a_patch_is_not_its_own_neighbour():
    features = np.ones((2, 3, 1))
    features[0, 0], features[1, 2] = -1, 0  # the first has no other, and neither has the last
    assert lost_box(features, 1, 1).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    'find', [lambda features: lost_box(features, 100, 16), lambda f: tokencut_box(f, 16)]
)
def test_an_object_is_found(find):
    for rows, columns in [(slice(2, 6), slice(3, 8)), (slice(0, 3), slice(9, 12))]:
        features, box = scene((10, 12), rows, columns)
        assert find(features).tolist() == box


def test_tokencut_does_not_depend_on_the_length_of_features():
    features, box = scene((10, 12), slice(2, 6), slice(3, 8))
    lengths = np.random.default_rng(1).uniform(0.01, 100, (10, 12, 1))
    assert tokencut_box(features * lengths, 16).tolist() == box


def test_attention_box_holds_the_largest_component():
    attention = np.full((6, 8), 0.01)
    attention[1:3, 1:2] = 1  # 2 patches
    attention[1:4, 4:7] = 1  # 9
    attention[5, 0:3] = 1  # 3, and the last
    for as_published in (True, False):
        box = attention_box(attention, 4, 0.9, as_published=as_published)
        assert box.tolist() == [16, 4, 28, 16]
    attention[4, 7] = 1
    attention[0, 0:2] = 1
    attention[5, 0:4] = 1
    attention[1:4, 4:7] = 0.01
    # the last and largest is not taken where published numbers are meant
    assert attention_box(attention, 1, 0.9).tolist() == [0, 0, 2, 3]
    attention[:3] = attention[4] = 0.01
    assert attention_box(attention, 1, 0.9, as_published=False).tolist() == [0, 5, 4, 6]
    assert attention_box(attention, 1, 0.9).tolist() == [0, 0, 8, 6]  # the background
    assert attention_box(np.ones((1, 1)), 16).tolist() == [0, 0, 16, 16]


def test_attention_keeps_the_share_of_the_mass():
    attention = np.array([[4.0, 3.0, 2.0, 1.0]])  # of 10
    widths = {0.35: 1, 0.5: 2, 0.6: 2, 0.75: 3, 0.95: 4}
    for threshold, width in widths.items():
        box = attention_box(attention, 1, threshold, as_published=False)
        assert box.tolist() == [0, 0, width, 1]


def test_corloc_counts_pictures_with_a_half_overlap():
    boxes = [[0, 0, 10, 10]] * 4
    gt = [
        np.array([[0, 0, 10, 20]]),  # exactly a half
        np.array([[0, 0, 10, 21]]),
        np.array([[50, 50, 60, 60], [1, 0, 10, 10]]),  # any of them
        EMPTY,
    ]
    assert corloc(boxes, gt) == 0.5
    hits = [corloc(np.array(boxes)[:1], [truth]) for truth in gt]
    assert hits == [1, 0, 1, 0]


def naive_jaccard(attention, masks, threshold, scale):
    """Pixel by pixel."""
    best = []
    for mask in masks:
        scores = []
        for head in attention:
            total, kept, mass = head.sum(), set(), 0.0
            for place in sorted(np.ndindex(head.shape), key=lambda p: -head[p]):
                kept.add(place)
                mass += head[place]
                if mass / total >= threshold:
                    break
            both = union = 0
            for row, column in np.ndindex(mask.shape):
                on = (row // scale, column // scale) in kept
                both += on and mask[row, column]
                union += on or mask[row, column]
            scores.append(both / union)
        best.append(max(scores))
    return sum(best) / len(best)


def test_jaccard_is_the_naive_loop():
    generator = np.random.default_rng(0)
    for threshold in (0.3, 0.6, 0.9):
        attention = generator.random((3, 4, 5))
        masks = generator.random((2, 8, 10)) > 0.6
        expected = naive_jaccard(attention, masks, threshold, 2)
        assert attention_jaccard(attention, masks, threshold) == pytest.approx(expected, abs=1e-12)


def test_jaccard_takes_the_best_head_of_each_class():
    masks = np.zeros((3, 4, 4), bool)
    masks[0, :2], masks[1, 2:, 2:] = True, True  # the third is empty
    assert attention_jaccard(masks[:2].astype(float), masks, 0.99) == 1
    assert attention_jaccard(masks[1::-1].astype(float), masks[[1, 2, 0]], 0.99) == 1
    assert attention_jaccard(masks[:1].astype(float), masks, 0.99) == 0.5


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: lost_box(np.ones((4, 3)), 100, 16), r'\(4, 3\)'),
        (lambda: lost_box(np.ones((2, 2, 3)), 0, 16), 'got 0'),
        (lambda: lost_box(np.zeros((2, 2, 3)), 5, 16), 'seed patch'),
        (lambda: lost_box(np.full((2, 2, 3), np.nan), 5, 16), 'finite'),
        (lambda: tokencut_box(np.ones((1, 1, 3)), 16), 'one patch'),
        (lambda: tokencut_box(np.full((2, 2, 3), np.inf), 16), 'finite'),
        (lambda: attention_box(np.ones((2, 2, 3)), 16), r'\(2, 2, 3\)'),
        (lambda: attention_box(np.zeros((2, 2)), 16), 'positive finite'),
        (lambda: attention_box(np.ones((2, 2)), 16, 1.0), 'got 1.0'),
        (lambda: corloc(EMPTY, []), r'\(0, 4\)'),
        (lambda: corloc(np.ones((2, 4)), [EMPTY]), r'\(2, 4\)'),
        (lambda: attention_jaccard(np.ones((2, 2)), np.ones((1, 4, 4)), 0.6), r'\(1, 4, 4\)'),
        (lambda: attention_jaccard(np.ones((1, 2, 2)), np.zeros((1, 4, 4)), 0.6), 'any pixel'),
    ],
)
def test_misfits_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
