"""Shuffling and sharding clips."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmvidssl.registry import DATA_SAMPLERS

from ..clip_index import ClipIndex


@DATA_SAMPLERS.register_module()
class ClipSampler(Sampler[ClipIndex]):
    """MMEngine's ``DefaultSampler`` that also says which random draw of a sample to take.

    Yields ``ClipIndex(index, draw=epoch)``. The order of an epoch over all ranks is a function of
    the seed and the epoch alone; rank ``r`` of ``n`` takes every ``n``-th place from ``r``, so that
    the ranks' ``i``-th batches together are the batch that one process would have. An epoch can be
    entered anywhere (:meth:`set_position`).

    Args:
        dataset: Anything with a length.
        shuffle: Whether to shuffle.
        seed: Seed of the order, the same on all ranks; ``None`` takes a common random one.
        round_up: Whether ranks get equally many samples, the first ones of the epoch repeated.
        num_samples_per_epoch: Length of an epoch over all ranks, a fresh random subset each
            (without ``shuffle``: the first ones); ``None`` for the whole data set.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        num_samples_per_epoch: int | None = None,
    ) -> None:
        if num_samples_per_epoch is not None and not 1 <= num_samples_per_epoch <= len(dataset):
            raise ValueError(
                f'num_samples_per_epoch must be in 1..{len(dataset)} (the length of the data set), '
                f'got {num_samples_per_epoch}'
            )
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.round_up = round_up
        self.num_samples_per_epoch = num_samples_per_epoch
        self.epoch = 0
        self.num_samples_done = 0

    @property
    def num_samples(self) -> int:
        """Samples of an epoch over all ranks, none repeated."""
        return self.num_samples_per_epoch or len(self.dataset)

    def epoch_order(self) -> np.ndarray:
        """Sample numbers of what is left of this epoch over all ranks, int64."""
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        order = order[: self.num_samples]
        left = order[self.num_samples_done :]
        if self.round_up:
            left = np.concatenate([left, np.resize(order, -len(left) % self.world_size)])
        return left

    def __iter__(self) -> Iterator[ClipIndex]:
        """This rank's share of what is left of the epoch."""
        draw = self.epoch
        for index in self.epoch_order()[self.rank :: self.world_size]:
            yield ClipIndex(int(index), draw)

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
