import itertools
import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from mmvidssl.datasets.samplers import permutation
from mmvidssl.datasets.samplers.permutation import MAX_STORED, Permutation

# Digits of 64 and more: the least lengths that are computed.
LENGTHS = [MAX_STORED + 1, 5000, 2**13 - 1, 2**13, 2**13 + 1, 9973, 128**2, 128**2 + 1, 10**5]
BILLION = 10**9


@pytest.mark.parametrize('length', [1, 2, 3, 5, 64, 4095, 4096, *LENGTHS])
def test_every_element_once(length):
    for key in [(0, 0), (3, 1), (2**31 - 1, 99)]:
        elements = Permutation(length, key)(np.arange(length))
        assert elements.dtype == np.int64
        np.testing.assert_array_equal(np.sort(elements), np.arange(length))


@pytest.mark.parametrize('length', [2, 3, 4, 5, 7, 12, 40])
def test_the_network_is_one_to_one_on_any_domain(length, monkeypatch):
    monkeypatch.setattr(permutation, 'MAX_STORED', 0)
    for key in range(20):
        elements = Permutation(length, (key, 0))(np.arange(length))
        np.testing.assert_array_equal(np.sort(elements), np.arange(length))


def test_largest_length_and_beyond():
    last = Permutation(2**62, (0,))(np.array([0, 2**62 - 1]))
    assert ((last >= 0) & (last < 2**62)).all()
    for length in (0, 2**62 + 1):
        with pytest.raises(ValueError, match=r'1\.\.2\*\*62, got'):
            Permutation(length, (0,))


@pytest.mark.parametrize('length', [100, 5000])
def test_orders_of_all_seeds_and_epochs_differ(length):
    keys = itertools.product(range(30), range(30))
    orders = [Permutation(length, key)(np.arange(length)) for key in keys]
    assert len({order.tobytes() for order in orders}) == 900
    # Two unrelated orders agree in one place on average, in Poisson's way.
    agreements = [(a == b).sum() for a, b in itertools.pairwise(orders)]
    assert abs(np.mean(agreements) - 1) < 5 / math.sqrt(len(agreements))
    assert max(agreements) < 10


def test_same_key_same_elements_wherever_asked():
    whole = Permutation(5000, (1, 2))(np.arange(5000))
    places = np.array([4999, 0, 17, 17])
    np.testing.assert_array_equal(Permutation(5000, (1, 2))(places), whole[places])


def test_short_orders_are_equally_likely():
    counts = Counter(
        tuple(Permutation(4, key)(np.arange(4))) for key in itertools.product(range(60), range(80))
    )
    assert len(counts) == 24
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


@pytest.mark.parametrize('length', [MAX_STORED + 1, 10**6, BILLION])
def test_elements_spread_evenly_over_any_stretch(length):
    """Chi-square of where 100 consecutive positions, in 40 places and 20 epochs, are sent."""
    stretches = [
        Permutation(length, (0, epoch))(np.arange(start, start + 100))
        for epoch in range(20)
        for start in np.linspace(0, length - 100, 40).astype(int)
    ]
    counts, _ = np.histogram(np.concatenate(stretches), bins=50, range=(0, length))
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize('length', [MAX_STORED + 1, 10**6, BILLION])
@pytest.mark.parametrize('distance', [1, 2, 64, 65, 1000])
def test_neighbours_are_unrelated(length, distance):
    """Correlation of elements ``distance`` apart, and the joint histogram of such pairs."""
    first = np.random.default_rng(0).integers(0, length - distance, 50_000)
    shuffled = Permutation(length, (0, 1))
    pairs = np.stack([shuffled(first), shuffled(first + distance)]) / length
    if length > first.size:
        assert abs(np.corrcoef(pairs)[0, 1]) < 4 / math.sqrt(first.size)
    else:  # the same few pairs again and again
        assert abs(np.corrcoef(pairs)[0, 1]) < 4 / math.sqrt(length)
        return
    counts, *_ = np.histogram2d(*pairs, bins=10, range=[(0, 1)] * 2)
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


@pytest.mark.parametrize('length', [MAX_STORED + 1, 10**6])
def test_steps_between_neighbours_are_those_of_a_random_order(length):
    """Modulo ``length``, each step is as likely as any other."""
    elements = Permutation(length, (5, 0))(np.arange(length))
    steps = np.diff(elements) % length
    counts, _ = np.histogram(steps, bins=64, range=(0, length))
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize('length', [MAX_STORED + 1, 10**6, BILLION])
def test_neighbouring_seeds_and_epochs_are_unrelated(length):
    places = np.random.default_rng(0).choice(length, 4000, replace=False)
    base = Permutation(length, (7, 7))(places) / length
    for key in [(7, 8), (8, 7), (6, 8), (7, 6)]:
        other = Permutation(length, key)(places) / length
        assert abs(np.corrcoef(base, other)[0, 1]) < 4 / math.sqrt(places.size)


def test_a_billion_takes_no_memory():
    tracemalloc.start()
    Permutation(BILLION, (0, 0))(np.arange(BILLION - 100, BILLION))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**17
