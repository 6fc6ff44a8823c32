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
    the seed and the epoch alone; rank ``r`` of ``n`` takes every ``n``-th place from ``r``.

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

    def epoch_order(self) -> np.ndarray:
        """Sample numbers of this epoch over all ranks, int64."""
        num_samples = self.num_samples_per_epoch or len(self.dataset)
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        order = order[:num_samples]
        if self.round_up:
            order = np.resize(order, -(-num_samples // self.world_size) * self.world_size)
        return order

    def __iter__(self) -> Iterator[ClipIndex]:
        """This rank's share of the epoch."""
        draw = self.epoch
        for index in self.epoch_order()[self.rank :: self.world_size]:
            yield ClipIndex(int(index), draw)

    def __len__(self) -> int:
        """Number of samples of this rank in an epoch."""
        total = self.num_samples_per_epoch or len(self.dataset)
        short_by = 0 if self.round_up else self.rank
        return -(-(total - short_by) // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields."""
        self.epoch = epoch
