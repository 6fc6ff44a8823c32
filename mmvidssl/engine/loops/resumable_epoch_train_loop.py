"""Training loop in epochs that resumes within an epoch."""

from collections.abc import Sequence
from typing import NamedTuple

from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from mmvidssl.registry import LOOPS

from .data_fingerprint import data_fingerprint, describe_differences, has_same_order


class DataPosition(NamedTuple):
    """Position of training in the data: epoch (from 0), samples of it taken by all processes."""

    epoch: int
    num_samples: int


@LOOPS.register_module()
class ResumableEpochTrainLoop(EpochBasedTrainLoop):
    """MMEngine's ``EpochBasedTrainLoop`` that resumes at the sample where it was stopped.

    The sampler starts there; nothing that was trained on is read or decoded again. With
    ``PlainCheckpointHook`` each checkpoint carries :meth:`state_dict`. Since samples and random
    draws depend on seeds and positions alone (``ClipSampler``, ``StepSeedHook``), no process and no
    worker has a random generator whose state must be saved.

    The number of processes and the batch size may change between stop and resume: the position in
    samples is kept, the iteration is computed from it, and the log says so.

    Args:
        runner: The runner.
        dataloader: A data loader or its config; its sampler must have ``set_position``.
        max_epochs: Length of the training.
        from_next_epoch: What to do with a checkpoint that an earlier version wrote within an epoch,
            if this version cannot reproduce its order of samples: True resumes at the next epoch
            and skips the rest of that one, False refuses it.
        **kwargs: As in MMEngine's ``EpochBasedTrainLoop``.

    Raises:
        TypeError: if the sampler cannot start in the middle.
        ValueError: if there are fewer samples than one batch takes.
    """

    def __init__(
        self,
        runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        from_next_epoch: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.sampler = getattr(self.dataloader.batch_sampler, 'sampler', self.dataloader.sampler)
        if not hasattr(self.sampler, 'set_position'):
            raise TypeError(
                f'{type(self).__name__} needs a sampler with set_position(epoch, num_samples), '
                f'such as ClipSampler; got {type(self.sampler).__name__}. Change the sampler of '
                "train_dataloader, or use MMEngine's loop, which reads an epoch again to resume in "
                'it.'
            )
        if not len(self.dataloader):
            raise ValueError(
                f'an epoch has no batch: {len(self.sampler)} samples for each process, '
                f'batch_size={self._batch_size}, drop_last=True. Use a smaller batch, more data, '
                'or drop_last=False.'
            )
        self.from_next_epoch = from_next_epoch
        self.position = DataPosition(0, 0)

    @property
    def _batch_size(self) -> int:
        return self.dataloader.batch_sampler.batch_size

    def run_epoch(self) -> None:
        """Iterate one epoch, or what is left of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self.sampler.set_position(*self.position)
        start = self._num_batches_before(self.position.num_samples)
        for idx, data_batch in enumerate(self.dataloader, start):
            self.run_iter(idx, data_batch)
            if self._iter >= self._max_iters or self.stop_training:
                break
        if self._num_batches_before(self.position.num_samples) == len(self.dataloader):
            self.position = DataPosition(self._epoch + 1, 0)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Train on one batch; the hooks after it find it counted in the position."""
        taken = self._batch_size * self.sampler.world_size
        self.position = DataPosition(self._epoch, self.position.num_samples + taken)
        super().run_iter(idx, data_batch)

    def _num_batches_before(self, num_samples: int) -> int:
        """Number of batches in the first ``num_samples`` samples of an epoch."""
        left = self.sampler.num_left(num_samples)
        if not self.dataloader.batch_sampler.drop_last:
            left += self._batch_size - 1
        return len(self.dataloader) - left // self._batch_size

    def state_dict(self) -> dict:
        """Position in the data, and the settings of data and sampler that it is valid for."""
        return dict(
            epoch=self.position.epoch,
            num_samples=self.position.num_samples,
            iters_per_epoch=len(self.dataloader),
            batch_size=self._batch_size,
            world_size=self.sampler.world_size,
            dataset_len=len(self.dataloader.dataset),
            sampler_seed=self.sampler.seed,
            dataset_seed=getattr(self.dataloader.dataset, 'seed', None),
            fingerprint=data_fingerprint(self.dataloader, self.sampler),
        )

    def load_state_dict(self, state: dict) -> None:
        """Restore the position of a checkpoint.

        Raises:
            ValueError: if data set or sampler are not those of the checkpoint (names what differs),
                or it was written within an epoch whose order cannot be reproduced.
        """
        dataset = self.dataloader.dataset
        then = state.get('fingerprint', {})
        now = data_fingerprint(self.dataloader, self.sampler)
        if state['dataset_len'] != len(dataset) and then.get('clips_per_seek', 1) == 1:
            raise ValueError(
                f'the checkpoint was trained on a data set of {state["dataset_len"]} samples, '
                f'this one has {len(dataset)}: its position means nothing here. Restore the videos '
                "and the data set's options, or start from the weights alone (load_from without "
                'resume).'
            )
        differences = describe_differences(then, now)
        if differences:
            raise ValueError(
                'the checkpoint was trained on other samples, so that its position means nothing '
                f'here: {"; ".join(differences)}. Restore them, or start from the weights alone '
                '(load_from without resume).'
            )
        self.sampler.seed = state['sampler_seed']
        if hasattr(dataset, 'seed'):
            dataset.seed = state['dataset_seed']
        self.position = DataPosition(state['epoch'], state['num_samples'])
        if self.position.num_samples and not has_same_order(then, now):
            self.position = self._leave_epoch(state)
        self._epoch = self.position.epoch
        before = self._num_batches_before(self.position.num_samples)
        self._iter = self._epoch * len(self.dataloader) + before
        self._say_what_changed(state)

    def _leave_epoch(self, state: dict) -> DataPosition:
        """Position after an epoch that cannot be reproduced: its end if done, or the next one."""
        epoch, num_samples = state['epoch'], state['num_samples']
        whole = state['iters_per_epoch'] * state['batch_size'] * state['world_size']
        if num_samples >= whole:
            return DataPosition(epoch, len(self.sampler) * self.sampler.world_size)
        if not self.from_next_epoch:
            raise ValueError(
                f'the checkpoint was written at sample {num_samples} of epoch {epoch} (from 0) in '
                'an order of the data that this version does not make, so that the epoch cannot be '
                'resumed exactly. To go on with the next epoch: --cfg-options '
                'train_cfg.from_next_epoch=True; to start from the weights alone: load_from '
                'without resume.'
            )
        if epoch + 1 >= self._max_epochs:
            raise ValueError(
                f'epoch {epoch} (from 0), which cannot be resumed exactly, is the last one: there '
                'is no next epoch to go on with. The checkpoint serves as it is, or with a larger '
                'train_cfg.max_epochs (max_iters).'
            )
        MMLogger.get_current_instance().warning(
            f'epoch {epoch} (from 0) is left at sample {num_samples}: the order of its data is '
            'that of another version. Training goes on with the next epoch.'
        )
        return DataPosition(epoch + 1, 0)

    def _say_what_changed(self, state: dict) -> None:
        keys = ('world_size', 'batch_size', 'iters_per_epoch')
        then, now = [[s[key] for key in keys] for s in (state, self.state_dict())]
        if then != now:
            epoch, num_samples = self.position
            MMLogger.get_current_instance().warning(
                'the checkpoint was written by {} processes with batches of {} ({} iterations an '
                'epoch); this run has {} with {} ({}). '.format(*then, *now)
                + f'It goes on at sample {num_samples} of epoch {epoch} (from 0), which is its '
                f'iteration {self._iter}.'
            )
