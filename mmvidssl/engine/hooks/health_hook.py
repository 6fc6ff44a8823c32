"""Log the health figures that the model measures."""

from functools import partial

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook

from mmvidssl.registry import HOOKS

from ..utils import gradient_norm, is_step_skipped, unwrap_model

NORM = 'train/grad_norm'


@HOOKS.register_module()
class HealthHook(Hook):
    """Let the model measure its health now and then, and put the numbers into the log.

    They are written as ``train/<name>``, averaged over all processes, so that every process sees
    the same; a log line shows the latest. ``grad_norm`` is logged by whoever clips the gradients;
    where nobody does, by this hook, in the iterations that it measures or, if these do not end in a
    step of the optimizer (gradient accumulation, a skipped step), at the next step.

    Args:
        interval: Iterations from one measurement to the next. Measuring costs little; see
            ``docs/en/health.md``.

    Raises:
        ValueError: if ``interval`` is not positive.
    """

    # Before those who read what it writes: CollapseHook and MMEngine's LoggerHook.
    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 10) -> None:
        if interval < 1:
            raise ValueError(f'HealthHook needs an interval >= 1 (iterations), got {interval}')
        self.interval = interval
        self._is_norm_due = False

    def before_train(self, runner) -> None:
        """Refuse a model that cannot be measured.

        Raises:
            TypeError: names the model.
        """
        model = unwrap_model(runner.model)
        if not hasattr(model, 'measure_health'):
            raise TypeError(
                f'HealthHook needs a model with measure_health and health (a BaseAlgorithm of '
                f'mmvidssl); {type(model).__name__} has neither. Remove the hook from the config.'
            )
        step_hook = partial(self._log_gradient_norm, runner)
        self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(step_hook)

    def _log_gradient_norm(self, runner, optimizer, args, kwargs) -> None:
        """Just before a step: nothing to do if who clips has logged the norm."""
        if not self._is_norm_due or is_step_skipped(optimizer):
            return
        self._is_norm_due = False
        if _num_norms(runner) == self._num_norms:
            runner.message_hub.update_scalar(NORM, gradient_norm(optimizer).item())

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Say whether this iteration is measured."""
        model = unwrap_model(runner.model)
        model.measure_health = runner.iter % self.interval == 0
        self._is_norm_due = self._is_norm_due or model.measure_health
        model.health = {}
        self._num_norms = _num_norms(runner)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Write down what was measured."""
        health = unwrap_model(runner.model).health
        if not health:
            return
        values = torch.stack([value.float() for value in health.values()])
        all_reduce(values, op='mean')
        for name, value in zip(health, values.tolist(), strict=True):
            runner.message_hub.update_scalar(f'train/{name}', value)

    def after_train(self, runner) -> None:
        """Measure no more."""
        unwrap_model(runner.model).measure_health = False
        self._handle.remove()


def _num_norms(runner) -> int:
    buffer = runner.message_hub.log_scalars.get(NORM)
    return 0 if buffer is None else len(buffer.data[0])
