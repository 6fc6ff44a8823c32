"""When, and how far, the teacher moves."""

import math

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmvidssl.registry import HOOKS


@HOOKS.register_module()
class TeacherMomentumHook(Hook):
    """Move the teacher after each real optimizer step, along a cosine schedule.

    Under gradient accumulation the teacher moves when the optimizer does. At iteration ``i`` of
    ``n``, ``momentum = end + (start - end) * (1 + cos(pi * i / n)) / 2``.

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

    def momentum_at(self, iteration: int, max_iters: int) -> float:
        """The student's weight at an iteration, counted from 0."""
        share = (1 + math.cos(math.pi * iteration / max_iters)) / 2
        return self.end_momentum + (self.momentum - self.end_momentum) * share

    def before_train(self, runner) -> None:
        """Refuse a model without a teacher.

        Raises:
            TypeError: names the model.
        """
        if not hasattr(_unwrap(runner.model), 'update_teacher'):
            raise TypeError(
                f'TeacherMomentumHook needs a model with update_teacher(momentum); '
                f'{type(_unwrap(runner.model)).__name__} has none. Remove the hook from '
                'custom_hooks.'
            )

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Update the teacher if the optimizer took a step in this iteration."""
        if not runner.optim_wrapper.should_update():
            return
        momentum = self.momentum_at(runner.iter, runner.max_iters)
        _unwrap(runner.model).update_teacher(momentum)
        runner.message_hub.update_scalar('train/teacher_momentum', momentum)


def _unwrap(model):
    return model.module if is_model_wrapper(model) else model
