"""Shuffling and sharding clips."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmvidssl.registry import DATA_SAMPLERS

from ..clip_index import ClipIndex
from .permutation import Permutation

ORDERS = ('shuffled', 'sequential', 'streams')
BLOCK = 1024  # samples whose numbers are computed at once


@DATA_SAMPLERS.register_module()
class ClipSampler(Sampler[ClipIndex]):
    """MMEngine's ``DefaultSampler`` that also says which random draw of a sample to take.

    Yields ``ClipIndex(index, draw=epoch)``. The order of an epoch over all ranks is a function of
    the seed and the epoch alone; rank ``r`` of ``n`` takes every ``n``-th place from ``r``, so that
    the ranks' ``i``-th batches together are the batch that one process would have. An epoch can be
    entered anywhere (:meth:`set_position`). The order is computed place by place
    (:class:`Permutation`): memory and start do not depend on the length.

    Args:
        dataset: Anything with a length.
        shuffle: Whether to shuffle; ``False`` is short for ``order='sequential'``.
        seed: Seed of the order, the same on all ranks; ``None`` takes a common random one.
        round_up: Whether ranks get equally many samples, the first ones of the epoch repeated.
        num_samples_per_epoch: Length of an epoch over all ranks, a fresh random subset each
            (not shuffled: the first ones of the order); ``None`` for the whole data set.
        order: Overrides ``shuffle``. 'shuffled'; 'sequential'; or 'streams', where the data set is
            cut into ``num_streams`` contiguous parts of equal length (to one sample), and places
            take from each part in turn, in its order.
        num_streams: For ``order='streams'``. With the batch size of all ranks together, each slot
            of the batch follows its own part from step to step.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        num_samples_per_epoch: int | None = None,
        order: str | None = None,
        num_streams: int | None = None,
    ) -> None:
        if num_samples_per_epoch is not None and not 1 <= num_samples_per_epoch <= len(dataset):
            raise ValueError(
                f'num_samples_per_epoch must be in 1..{len(dataset)} (the length of the data set), '
                f'got {num_samples_per_epoch}'
            )
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.order = _check_order(order, shuffle, num_streams, len(dataset))
        self.shuffle = self.order == 'shuffled'
        self.num_streams = num_streams
        self.seed = sync_random_seed() if seed is None else seed
        self.round_up = round_up
        self.num_samples_per_epoch = num_samples_per_epoch
        self.epoch = 0
        self.num_samples_done = 0

    @property
    def num_samples(self) -> int:
        """Samples of an epoch over all ranks, none repeated."""
        return self.num_samples_per_epoch or len(self.dataset)

    def samples_at(self, places: np.ndarray) -> np.ndarray:
        """Sample numbers int64 ``(P,)`` at ``places`` ``(P,)`` of this epoch's order.

        Places count over all ranks, from 0; those past the epoch's end begin it anew.
        """
        places = np.asarray(places, dtype=np.int64) % self.num_samples
        if self.order == 'shuffled':
            return Permutation(len(self.dataset), (self.seed, self.epoch))(places)
        if self.num_streams is None:
            return places
        steps, streams = np.divmod(places, self.num_streams)
        # The first streams are one longer where the length is no multiple.
        length, longer = divmod(len(self.dataset), self.num_streams)
        return streams * length + np.minimum(streams, longer) + steps

    def __iter__(self) -> Iterator[ClipIndex]:
        """This rank's share of what is left of the epoch."""
        draw, first = self.epoch, self.num_samples_done + self.rank
        end = first + self.num_left(self.num_samples_done) * self.world_size
        for start in range(first, end, BLOCK * self.world_size):
            stop = min(end, start + BLOCK * self.world_size)
            for index in self.samples_at(np.arange(start, stop, self.world_size)).tolist():
                yield ClipIndex(index, draw)

    def __len__(self) -> int:
        """Number of samples of this rank in a whole epoch."""
        return self.num_left(0)

    def num_left(self, num_samples_done: int) -> int:
        """Samples that this rank still takes when all together have taken so many."""
        left = max(self.num_samples - num_samples_done, 0)
        short_by = 0 if self.round_up else self.rank
        return max(-(-(left - short_by) // self.world_size), 0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields."""
        self.set_position(epoch, 0)

    def set_position(self, epoch: int, num_samples_done: int) -> None:
        """Choose the epoch, and how many of its samples all ranks together have taken already.

        What was taken is not read: starting late costs nothing.
        """
        if num_samples_done < 0:
            raise ValueError(f'num_samples_done must not be negative, got {num_samples_done}')
        self.epoch, self.num_samples_done = epoch, num_samples_done


def _check_order(order: str | None, shuffle: bool, num_streams: int | None, length: int) -> str:
    order = order or ('shuffled' if shuffle else 'sequential')
    if order not in ORDERS:
        raise ValueError(f'order must be one of {ORDERS}, got {order!r}')
    if (order == 'streams') != (num_streams is not None):
        raise ValueError(
            "num_streams belongs to order='streams' (the batch size of all ranks together), got "
            f'order={order!r} and num_streams={num_streams}'
        )
    if num_streams is not None and not 1 <= num_streams <= length:
        raise ValueError(
            f'num_streams must be in 1..{length} (the length of the data set), got {num_streams}'
        )
    return order
