import itertools

import numpy as np
import pytest

from mmvidssl.datasets.clip_groups import count_groups, group_starts


def groups_of(num_starts, size, spacing):
    return [
        group_starts(group, num_starts, size, spacing).tolist()
        for group in range(count_groups(num_starts, size))
    ]


def test_blocks_of_interleaved_groups():
    assert groups_of(16, 3, 2) == [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9, 11], [12, 13, 14]]


def test_a_spacing_that_does_not_fit_becomes_the_widest_that_does():
    assert groups_of(11, 3, 100) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


@pytest.mark.parametrize(
    'num_starts, size, spacing',
    list(itertools.product([1, 2, 7, 24, 25, 101], [1, 2, 4, 7], [1, 3, 50])),
)
def test_every_start_in_one_group_but_for_the_last_few(num_starts, size, spacing):
    groups = np.array(groups_of(num_starts, size, spacing), dtype=int).reshape(-1, size)
    covered = num_starts - num_starts % size
    np.testing.assert_array_equal(np.sort(groups.ravel()), np.arange(covered))
    steps = np.diff(groups, axis=1)
    assert (steps > 0).all()
    assert (steps <= spacing).all()
    whole = (num_starts // (size * spacing)) * spacing
    assert (steps[:whole] == spacing).all()


def test_the_last_group_of_a_billion_starts():
    assert group_starts(10**9 // 4 - 1, 10**9, 4, 15)[-1] == 10**9 - 1
