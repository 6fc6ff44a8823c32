"""Clip starts of a video in groups that are decoded together. Pure functions of start numbers.

A block of ``size * spacing`` starts holds ``spacing`` groups, which interleave::

    size=3, spacing=2:   0 1 0 1 0 1 | 2 3 2 3 2 3 | 4 4 4 .

The last block, shorter, holds groups whose starts are as far apart as fits. Each start is in one
group, but for fewer than ``size`` at the end, which are in none.
"""

import numpy as np


def count_groups(num_starts: int, size: int) -> int:
    """How many groups of ``size`` starts there are, whatever their spacing."""
    return num_starts // size


def group_starts(group: int, num_starts: int, size: int, spacing: int) -> np.ndarray:
    """Start numbers int64 ``(size,)`` of group ``group``, ascending.

    Args:
        group: Which one, below ``count_groups(num_starts, size)``.
        num_starts: Starts of the video.
        size: Starts of a group.
        spacing: From one start of a group to the next; less in the last block.
    """
    block, place = divmod(group, spacing)
    num_whole_blocks = num_starts // (size * spacing)
    if block >= num_whole_blocks:
        block, place = num_whole_blocks, group - num_whole_blocks * spacing
        apart = (num_starts - block * size * spacing) // size
    else:
        apart = spacing
    return block * size * spacing + place + apart * np.arange(size, dtype=np.int64)
