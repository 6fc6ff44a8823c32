"""End training at a time limit."""

import time

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from mmvidssl.registry import HOOKS


@HOOKS.register_module()
class TimeLimitHook(Hook):
    """End training, with its last checkpoint, at the first iteration past a time limit.

    For runs with a budget (a job scheduler's, a demonstration's). Schedules are not shortened: a
    run that reaches its limit ends as it is. All processes end at the same iteration, the first at
    which time is up for one of them (one number is reduced in every iteration); with gradient
    accumulation, at the end of the current step. ``PlainCheckpointHook`` writes the last checkpoint
    wherever that is; MMEngine's only with ``by_epoch=False``.

    Args:
        seconds: Wall-clock time from the start of training.

    Raises:
        ValueError: if ``seconds`` is not positive.
    """

    priority = 'VERY_HIGH'  # before the checkpoint hook asks whether this iteration is the last

    def __init__(self, seconds: float) -> None:
        if seconds <= 0:
            raise ValueError(f'a time limit must be positive, got {seconds} seconds')
        self.seconds = seconds

    def before_train(self, runner) -> None:
        """Start the clock.

        Raises:
            ValueError: in a loop that cannot end in the middle of an epoch.
        """
        if type(runner.train_loop) is EpochBasedTrainLoop:
            raise ValueError(
                'TimeLimitHook ends a loop in the middle of an epoch (ResumableEpochTrainLoop, '
                'ResumableIterTrainLoop, IterBasedTrainLoop), which EpochBasedTrainLoop cannot'
            )
        self._deadline = time.monotonic() + self.seconds

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Make this iteration the last if time is up."""
        if not self._is_time_up() or runner.iter + 1 >= runner.max_iters:
            return
        if runner.optim_wrapper.should_update():  # no gradients wait for the next step
            runner.logger.warning(
                f'the time limit of {self.seconds:.0f} s ends training at iteration '
                f'{runner.iter + 1} of {runner.max_iters}'
            )
            runner.train_loop._max_iters = runner.iter + 1
            runner.train_loop.stop_training = True

    def _is_time_up(self) -> bool:
        """Whether time is up for any process: one that stopped alone would leave others waiting."""
        is_up = torch.tensor(float(time.monotonic() > self._deadline))
        all_reduce(is_up, op='max')
        return bool(is_up.item())
