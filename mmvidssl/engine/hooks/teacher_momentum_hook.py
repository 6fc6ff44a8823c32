"""Schedule of the teacher's exponential moving average."""

import math

from mmengine.hooks import Hook

from mmvidssl.registry import HOOKS

from ..utils import first_pass_of_step, is_step_skipped, unwrap_model


@HOOKS.register_module()
class TeacherMomentumHook(Hook):
    """Move the teacher after each real optimizer step, along a cosine schedule.

    A hook of the optimizer notes real steps: there is none after a pass that only accumulates
    gradients, nor if the loss scaler skips a step because of infinite gradients. Whenever a step is
    due, skipped or not, the model's ``finish_step()``, if any, is called. It moves the center,
    a statistic of the teacher alone, so also in skipped steps, as in DINO's released code.

    The schedule spans the run: in a step that began with iteration ``i`` of ``n``,
    ``momentum = end + (start - end) * (1 + cos(pi * i / n)) / 2``. It is logged as
    ``teacher_momentum``, and one minus it, DINO's ``m``, as ``teacher_m``.

    Args:
        momentum: Weight of the student at the start (DINO's 0.996 is 0.004 here).
        end_momentum: Weight of the student at the end.

    Source: DINO, section 3.1.
    """

    priority = 'NORMAL'

    def __init__(self, momentum: float = 0.004, end_momentum: float = 0.0) -> None:
        for name, value in (('momentum', momentum), ('end_momentum', end_momentum)):
            if not 0 <= value <= 1:
                raise ValueError(
                    f'{name} is the weight of the student and lies in [0, 1], got {value}'
                )
        self.momentum = momentum
        self.end_momentum = end_momentum
        self._has_stepped = False

    def momentum_at(self, iteration: int, max_iters: int) -> float:
        """The student's weight at an iteration, counted from 0."""
        share = (1 + math.cos(math.pi * iteration / max_iters)) / 2
        return self.end_momentum + (self.momentum - self.end_momentum) * share

    def before_train(self, runner) -> None:
        """Register the optimizer hook that notes real steps.

        Raises:
            TypeError: if the model has no teacher, or its ``has_moving_teacher`` is False.
        """
        model = unwrap_model(runner.model)
        if not (hasattr(model, 'update_teacher') and getattr(model, 'has_moving_teacher', True)):
            raise TypeError(
                'TeacherMomentumHook needs a model with a teacher that update_teacher(momentum) '
                f'moves; this {type(model).__name__} has none. Remove the hook from custom_hooks.'
            )
        self._max_iters = runner.max_iters  # TimeLimitHook shortens the run, not the schedule
        optimizer = runner.optim_wrapper.optimizer
        self._handle = optimizer.register_step_post_hook(self._note_step)

    def _note_step(self, optimizer, *args) -> None:
        self._has_stepped = not is_step_skipped(optimizer)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Update the teacher if the optimizer took a step in this iteration."""
        model = unwrap_model(runner.model)
        if runner.optim_wrapper.should_update() and hasattr(model, 'finish_step'):
            model.finish_step()
        if not self._has_stepped:
            return
        self._has_stepped = False
        momentum = self.momentum_at(first_pass_of_step(runner), self._max_iters)
        model.update_teacher(momentum)
        runner.message_hub.update_scalar('train/teacher_momentum', momentum)
        runner.message_hub.update_scalar('train/teacher_m', 1 - momentum)

    def after_train(self, runner) -> None:
        """Remove the optimizer hook."""
        self._handle.remove()
