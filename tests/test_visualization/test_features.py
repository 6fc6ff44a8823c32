"""Pictures of features, against numpy's own decompositions and plain loops."""

import tracemalloc

import numpy as np
import pytest

from mmvidssl.visualization import embed_features, nearest_neighbors, pca_colours, plot_map

RNG = np.random.default_rng(0)
FEATURES = (RNG.normal(size=(3, 4, 5, 8)) * np.arange(9, 1, -1)).astype(np.float32)


def scaled(values):
    low, high = np.percentile(values, (1, 99), axis=0)
    return 255 * ((values - low) / (high - low)).clip(0, 1)


def test_colours_are_the_components_of_a_singular_value_decomposition():
    (colours,) = pca_colours([FEATURES])
    assert colours.shape == (3, 4, 5, 3) and colours.dtype == np.uint8
    rows = FEATURES.reshape(-1, 8) - FEATURES.reshape(-1, 8).mean(axis=0, dtype=float)
    levels = scaled(rows @ np.linalg.svd(rows, full_matrices=False)[2][:3].T)
    for found, level in zip(colours.reshape(-1, 3).T, levels.T, strict=True):
        assert min(np.abs(found - level).max(), np.abs(255 - found - level).max()) < 1


def test_encoders_share_a_basis_but_for_their_means():
    once, again = pca_colours([FEATURES, FEATURES + 100 * RNG.normal(size=8)])
    np.testing.assert_allclose(once, again.astype(float), atol=1)
    np.testing.assert_allclose(once, pca_colours([FEATURES])[0].astype(float), atol=1)
    with pytest.raises(ValueError, match=r'\[7, 8\]'):
        pca_colours([FEATURES, FEATURES[..., :7]])


def test_background_is_black_and_the_basis_is_of_the_rest():
    features = 0.1 * RNG.normal(size=(2, 6, 6, 8))
    features[:, 2:4, 2:5, 0] += 9
    (colours,) = pca_colours([features], foreground=True)
    inside = np.zeros((6, 6), bool)
    inside[2:4, 2:5] = True
    assert not colours[:, ~inside].any()
    seen = colours[:, inside].reshape(-1, 3)
    assert seen.min() == 0 and seen.max() == 255 and (seen.std(axis=0) > 40).all()


def test_neighbours_are_those_of_a_plain_search():
    features = RNG.normal(size=(12, 5))
    names, times = ['a'] * 8 + ['b'] * 4, np.array([*range(8), *range(4)], float)
    queries = [11, *range(11)]
    found = nearest_neighbors(features, names, times, queries, num=3, gap=1.0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for i, indices in zip(queries, found, strict=True):
        others = [j for j in range(12) if names[i] != names[j] or abs(times[i] - times[j]) > 1]
        expected = sorted(others, key=lambda j: -unit[i] @ unit[j])[:3]
        assert indices.tolist() == expected
    alone = nearest_neighbors(features[:2], ['a', 'a'], times[:2], [0, 1], 3, 1.0)
    assert [len(indices) for indices in alone] == [0, 0]


def test_neighbours_of_a_few_clips_take_no_square_of_memory():
    count = 3000
    tracemalloc.start()
    nearest_neighbors(RNG.normal(size=(count, 4)), ['a'] * count, np.arange(3e3), [0, 9], 3, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < count**2


def test_a_map_keeps_groups_apart(tmp_path):
    features = RNG.normal(size=(24, 5)) + 30 * np.repeat(np.eye(2, 5), 12, axis=0)
    points = embed_features(features)
    first, second = points[:12], points[12:]
    middles = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert middles > np.linalg.norm(first - first.mean(axis=0), axis=1).mean()
    plot_map(tmp_path / 'map.png', points, ['a.mp4'] * 12 + ['b.mp4'] * 12, np.arange(24.0))
    assert (tmp_path / 'map.png').stat().st_size > 5000
    with pytest.raises(ValueError, match='got 4'):
        embed_features(features[:4])
