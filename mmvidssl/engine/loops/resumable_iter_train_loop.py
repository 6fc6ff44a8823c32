"""Training loop of a given number of iterations that resumes within an epoch."""

import bisect
from collections.abc import Sequence

from torch.utils.data import DataLoader

from mmvidssl.registry import LOOPS

from .resumable_epoch_train_loop import ResumableEpochTrainLoop


@LOOPS.register_module()
class ResumableIterTrainLoop(ResumableEpochTrainLoop):
    """``ResumableEpochTrainLoop`` for ``max_iters`` iterations; the last epoch is cut short.

    Differs from MMEngine's ``IterBasedTrainLoop``: it resumes where it was stopped, and its epochs
    are those of the data (MMEngine has one long epoch), so that hooks may count them.

    Args:
        runner: The runner.
        dataloader: As in :class:`ResumableEpochTrainLoop`.
        max_iters: Length of the training.
        val_begin: The iteration from which to validate.
        val_interval: Iterations between validations.
        dynamic_intervals: As in MMEngine's loops.
        from_next_epoch: As in :class:`ResumableEpochTrainLoop`.
    """

    def __init__(
        self,
        runner,
        dataloader: DataLoader | dict,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: list[tuple[int, int]] | None = None,
        from_next_epoch: bool = False,
    ) -> None:
        if max_iters != int(max_iters):
            raise ValueError(f'max_iters must be a whole number, got {max_iters}')
        super().__init__(
            runner,
            dataloader,
            max_epochs=1,  # until its length is known
            from_next_epoch=from_next_epoch,
            val_begin=val_begin,
            val_interval=val_interval,
            dynamic_intervals=dynamic_intervals,
        )
        self._max_iters = int(max_iters)
        self._max_epochs = -(-self._max_iters // len(self.dataloader))

    def run(self):
        """Launch training."""
        self.runner.call_hook('before_train')
        while self._iter < self._max_iters and not self.stop_training:
            self.run_epoch()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Iterate one batch, and validate if it is time to."""
        super().run_iter(idx, data_batch)
        self._decide_current_val_interval()
        is_due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
        if self.runner.val_loop is not None and self._iter >= self.val_begin and is_due:
            self.runner.val_loop.run()
            self.runner.model.train()

    def _decide_current_val_interval(self) -> None:
        step = bisect.bisect(self.dynamic_milestones, self._iter + 1)
        self.val_interval = self.dynamic_intervals[step - 1]
