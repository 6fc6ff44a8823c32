import math
from collections import Counter

import numpy as np
import pytest

from mmvidssl.datasets import BlockMask, CubeMask, FrameMask, RandomMask, TubeMask
from mmvidssl.datasets.transforms.block_placer import BlockPlacer
from tests.references.naive_masking import NUM_MASKS, draw_many, stored_tables, tabulate

KINDS = [CubeMask, TubeMask, FrameMask, RandomMask, BlockMask]
WITH_BLOCKS = [CubeMask, TubeMask, BlockMask]


def tables_of(placer, num_masks, seed=0):
    """The tables of the oracle, of masks from ``placer``, and its masks of each cell."""
    rng = np.random.default_rng(seed)
    coverage = np.zeros(placer.window, dtype=int)
    tables = dict(totals=Counter(), steps=Counter(), rows=Counter(), columns=Counter())
    for _ in range(num_masks):
        mask, blocks = placer.place_blocks(rng)
        coverage += mask
        tables['totals'][int(mask.sum())] += 1
        for block in blocks:
            for name, side in zip(('steps', 'rows', 'columns'), block, strict=True):
                tables[name][side.stop - side.start] += 1
    return coverage, tables


def excess(ours, oracle):
    """By how many standard deviations two histograms are further apart than chance alone.

    Chi-squared of two samples, whose mean is k - 1 and whose variance 2 (k - 1); rare values count
    together. Numbers of blocks differ by chance too, so that shares are compared.
    """
    n, m = sum(ours.values()), sum(oracle.values())
    rare = [key for key in ours.keys() | oracle.keys() if ours[key] + oracle.get(key, 0) < 50]
    keys = (ours.keys() | oracle.keys()) - set(rare)
    pairs = [(ours[key], oracle.get(key, 0)) for key in keys]
    pairs.append(tuple(sum(table.get(key, 0) for key in rare) for table in (ours, oracle)))
    pairs = [(a, b) for a, b in pairs if a + b]
    chi = sum((a * math.sqrt(m / n) - b * math.sqrt(n / m)) ** 2 / (a + b) for a, b in pairs)
    if len(pairs) == 1:
        return 0.0
    return (chi - (len(pairs) - 1)) / math.sqrt(2 * (len(pairs) - 1))


@pytest.mark.parametrize('kind, mask', [('cube', CubeMask()), ('block', BlockMask())])
def test_masks_are_distributed_as_the_oracle_s(kind, mask):
    oracle = stored_tables(kind)
    coverage, tables = tables_of(mask.placer, NUM_MASKS)
    for cell, count in oracle['cells'].items():
        share = (count + coverage[cell]) / (2 * NUM_MASKS)
        spread = math.sqrt(2 * share * (1 - share) * NUM_MASKS)
        # of 392 normal values the largest is seldom beyond 3.5
        assert abs(count - coverage[cell]) < 4.5 * spread, cell
    for name, table in tables.items():
        assert excess(table, oracle[name]) < 5, name


@pytest.mark.parametrize('change', [dict(num_tries=10), dict(shrink_to_rest=True)])
def test_the_comparison_tells_other_algorithms_apart(change):
    settings = dict(min_num_patches=9, max_num_patches=49, aspect_ratio=(0.3, 1 / 0.3))
    placer = BlockPlacer((8, 7, 7), 0.4, **settings, **(dict(num_tries=100) | change))
    _, tables = tables_of(placer, 2000)
    oracle = stored_tables('cube')
    assert max(excess(table, oracle[name]) for name, table in tables.items()) > 10


def test_known_figures_of_the_cubes():
    """Of the released code: 157 of 392 cells in about a third of the masks, 155.6 on average."""
    mask = CubeMask()
    rng = np.random.default_rng(0)
    totals = np.array([mask.draw(rng).sum() for _ in range(4000)])
    assert totals.max() == 157
    assert abs((totals == 157).mean() - 0.353) < 4 * math.sqrt(0.353 * 0.647 / 4000)
    assert abs(totals.mean() - 155.64) < 4 * 1.65 / math.sqrt(4000)


@pytest.mark.parametrize('kind', ['cube', 'block'])
def test_the_stored_tables_are_the_oracle_s(kind):
    """Those of a hundred masks say little, but a changed oracle would hardly agree with them."""
    few, many = tabulate(draw_many(kind, 100)), stored_tables(kind)
    assert sum(many['totals'].values()) == NUM_MASKS
    for name in ('totals', 'steps', 'rows', 'columns'):
        assert excess(Counter(dict(map(tuple, few[name]))), many[name]) < 5


@pytest.mark.parametrize('kind', KINDS)
def test_a_mask(kind):
    mask = kind().draw(np.random.default_rng(0))
    assert mask.dtype == np.bool_
    assert mask.shape == ((1, 14, 14) if kind is BlockMask else (8, 7, 7))
    assert 0 < mask.sum() < mask.size


@pytest.mark.parametrize('kind', KINDS)
def test_a_mask_is_a_function_of_the_generator(kind):
    transform = kind()
    first, same, other = (
        transform(dict(rng=np.random.default_rng(seed)))['mask'] for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize('kind', WITH_BLOCKS)
@pytest.mark.parametrize('ratio', [0.2, 0.4, 0.6, 0.8])
def test_ratios(kind, ratio):
    mask, exact = kind(mask_ratio=ratio), kind(mask_ratio=ratio, exact=True)
    rng = np.random.default_rng(0)
    shares = [mask.draw(rng).mean() for _ in range(50)]
    cells = 392 if kind is CubeMask else 49 if kind is TubeMask else 196
    asked = round(ratio * cells) / cells
    assert max(shares) <= asked + 1e-9
    assert np.mean(shares) > asked - 0.02
    assert {round(exact.draw(rng).mean() * cells) for _ in range(50)} == {round(ratio * cells)}


def test_exact_masks_only_add_to_the_blocks():
    for seed in range(20):
        plain = CubeMask().draw(np.random.default_rng(seed))
        exact = CubeMask(exact=True).draw(np.random.default_rng(seed))
        assert exact[plain].all()


def test_a_cube_is_not_the_same_at_all_times():
    mask = CubeMask().draw(np.random.default_rng(0))
    assert (mask != mask[:1]).any()


def test_a_tube_is_the_same_at_all_times():
    mask = TubeMask(mask_window=(5, 7, 7)).draw(np.random.default_rng(0))
    assert mask.shape == (5, 7, 7)
    assert (mask == mask[:1]).all()


def test_a_tube_is_an_image_s_mask_repeated():
    tube = TubeMask().draw(np.random.default_rng(3))
    assert np.array_equal(tube[:1], BlockMask((7, 7), 0.4, 4, 20).draw(np.random.default_rng(3)))


def test_frames_are_masked_each_by_itself():
    """As many cells as BlockMask would mask in each, and no step like the one before."""
    frames, single = FrameMask(), BlockMask(mask_window=(7, 7))
    rng = np.random.default_rng(0)
    masks = np.stack([frames.draw(rng) for _ in range(250)])
    assert masks.shape == (250, 8, 7, 7)
    counts = masks.sum(axis=(2, 3))
    alone = np.array([single.draw(rng).sum() for _ in range(2000)])
    assert counts.max() == alone.max() == 20
    assert abs(counts.mean() - alone.mean()) < 4.5 * alone.std() * math.sqrt(2 / 2000)
    # Of two independent steps, a cell is masked in both as often as chance has it.
    share = masks.mean(axis=(0, 1))
    both = (masks[:, :-1] & masks[:, 1:]).mean(axis=(0, 1))
    assert np.abs(both - share**2).max() < 0.06


def test_whole_frames_are_masked():
    rng = np.random.default_rng(0)
    mask = FrameMask(whole=True)
    masks = np.stack([mask.draw(rng) for _ in range(2000)])
    whole = masks.all(axis=(2, 3))
    assert np.array_equal(whole, masks.any(axis=(2, 3)))
    assert (whole.sum(axis=1) == 3).all()
    assert np.abs(whole.mean(axis=0) - 3 / 8).max() < 4.5 * math.sqrt(15 / 64 / 2000)


def test_single_cells():
    rng = np.random.default_rng(0)
    masks = np.stack([RandomMask().draw(rng) for _ in range(2000)])
    assert (masks.sum(axis=(1, 2, 3)) == 157).all()
    assert np.abs(masks.mean(axis=0) - 157 / 392).max() < 4.5 * math.sqrt(0.24 / 2000)


def test_aspect_ratio():
    flat, rng = CubeMask(aspect_ratio=(0.3, 0.5)).placer, np.random.default_rng(0)
    for _ in range(20):
        for _, rows, columns in flat.place_blocks(rng)[1]:
            assert rows.stop - rows.start < columns.stop - columns.start


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('ratio', [0, 1, 1.5, -0.1])
def test_impossible_ratio(kind, ratio):
    with pytest.raises(ValueError, match=r'mask_ratio must be in \(0, 1\)'):
        kind(mask_ratio=ratio)


@pytest.mark.parametrize(
    'kind, settings, reason',
    [
        (CubeMask, dict(min_num_patches=50), 'max_num_patches, got 50 and 49'),
        (CubeMask, dict(min_num_patches=0), '1 <= min_num_patches'),
        (CubeMask, dict(mask_window=(8, 3, 3)), '2 x 2.*smaller min_num'),
        (CubeMask, dict(mask_ratio=0.01), 'no block .* 4 cells'),
        (CubeMask, dict(aspect_ratio=(40.0, 50.0)), 'no block can be placed'),
        (CubeMask, dict(aspect_ratio=(2.0, 1.0)), 'aspect_ratio must be'),
        (CubeMask, dict(mask_window=(7, 7)), r'\(t, h, w\), got \(7, 7\)'),
        (CubeMask, dict(mask_window=(0, 7, 7)), 'positive ints'),
        (BlockMask, dict(mask_window=(1, 14, 14)), r'2 positive ints \(h, w\)'),
        (BlockMask, dict(min_num_patches=100), 'got 100 and 78'),
        (TubeMask, dict(mask_window=(8, 1, 1)), 'nothing would be masked'),
        (
            FrameMask,
            dict(mask_window=(2, 7, 7), mask_ratio=0.2, whole=True),
            '2 time steps rounds to 0',
        ),
        (
            FrameMask,
            dict(mask_window=(2, 7, 7), mask_ratio=0.8, whole=True),
            'everything would be masked',
        ),
        (FrameMask, dict(whole=True, exact=True), r"'exact'"),
        (RandomMask, dict(mask_ratio=0.001), 'nothing would be masked'),
    ],
)
def test_impossible_settings(kind, settings, reason):
    with pytest.raises(ValueError, match=reason):
        kind(**settings)
