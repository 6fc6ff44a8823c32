"""Which sample to take, and which of its random draws."""

from typing import NamedTuple


class ClipIndex(NamedTuple):
    """What a clip sampler hands to a data set.

    ``index`` is the sample; ``draw`` tells its augmentations apart (the epoch, for
    :class:`ClipSampler`): the same pair always gives the same sample.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which no one needs here
    draw: int
