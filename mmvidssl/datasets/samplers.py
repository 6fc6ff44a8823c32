"""Sampler that shuffles clips, shards them over ranks, and can resume within an epoch."""

from collections.abc import Iterator, Sized

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmvidssl.registry import DATA_SAMPLERS

from .clips import ClipIndex

ORDERS = ('shuffled', 'sequential', 'streams')


@DATA_SAMPLERS.register_module()
class ClipSampler(Sampler[ClipIndex]):
    """Like MMEngine's ``DefaultSampler``, but also tells which random draw of a sample to take.

    Yields ``ClipIndex(index, draw=epoch)``. The order of an epoch over all ranks is a function of
    the seed and the epoch alone; rank ``r`` of ``n`` takes every ``n``-th place from ``r``, so that
    the ranks' ``i``-th batches together are the batch that one process would have. An epoch can be
    entered anywhere (:meth:`set_position`). It takes 8 bytes of memory a sample.

    Args:
        dataset: Anything with a length.
        shuffle: Whether to shuffle; ``False`` is short for ``order='sequential'``.
        seed: Seed of the order, the same on all ranks; ``None`` takes a common random one.
        round_up: Whether ranks get equally many samples, the first ones of the epoch repeated.
        num_samples_per_epoch: Samples of an epoch over all ranks: a new random subset each epoch
            (unshuffled: always the first ones); ``None`` for the whole data set.
        order: Overrides ``shuffle``. 'shuffled'; 'sequential'; or 'streams', where the data set is
            cut into ``num_streams`` contiguous parts of equal length (to one sample), which are
            read in turn, one sample at a time.
        num_streams: For ``order='streams'``. If it is the batch size of all ranks together, each
            slot of the batch follows its own part from step to step.
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
        """Samples of an epoch over all ranks, without those that ``round_up`` repeats."""
        return self.num_samples_per_epoch or len(self.dataset)

    @property
    def order_kind(self) -> str:
        """Name of the algorithm behind the order, which checkpoints keep to compare on resume."""
        return 'torch.randperm' if self.shuffle else self.order

    def epoch_order(self) -> np.ndarray:
        """Sample numbers int64 ``(num_samples,)`` of this epoch, over all ranks."""
        length = len(self.dataset)
        if self.shuffle:
            # From both: with `seed + epoch`, neighbouring seeds would share orders.
            seed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)
            generator = torch.Generator().manual_seed(int(seed[0]))
            order = torch.randperm(length, generator=generator).numpy()
        elif self.num_streams is None:
            order = np.arange(length)
        else:
            # Each row has one sample of each stream; the first streams may be one longer.
            streams = np.array_split(np.arange(length), self.num_streams)
            shortest = len(streams[-1])
            rows = np.stack([stream[:shortest] for stream in streams], axis=1)
            order = np.concatenate([rows.ravel(), *(stream[shortest:] for stream in streams)])
        return order[: self.num_samples]

    def __iter__(self) -> Iterator[ClipIndex]:
        """This rank's share of what is left of the epoch."""
        draw, first = self.epoch, self.num_samples_done + self.rank
        end = first + self.num_left(self.num_samples_done) * self.world_size
        places = np.arange(first, end, self.world_size) % self.num_samples
        for index in self.epoch_order()[places]:
            yield ClipIndex(int(index), draw)

    def __len__(self) -> int:
        """Number of samples of this rank in a whole epoch."""
        return self.num_left(0)

    def num_left(self, num_samples_done: int) -> int:
        """Samples left for this rank once all ranks have taken ``num_samples_done``."""
        left = max(self.num_samples - num_samples_done, 0)
        short_by = 0 if self.round_up else self.rank
        return max(-(-(left - short_by) // self.world_size), 0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields."""
        self.set_position(epoch, 0)

    def set_position(self, epoch: int, num_samples_done: int) -> None:
        """Start within an epoch, after ``num_samples_done`` samples of all ranks together.

        The samples before are not read, so that this costs no time.
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
