"""Log the health figures that the model measures."""

from functools import partial

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from torch import Tensor

from mmvidssl.registry import HOOKS

from ..utils import (
    first_pass_of_step,
    gradient_norm,
    is_step_skipped,
    passes_of_step,
    unwrap_model,
)

NORM = 'train/grad_norm'


@HOOKS.register_module()
class HealthHook(Hook):
    """Log the model's health figures every ``interval`` iterations.

    A measurement is of an optimizer step: of the clips of all its passes (gradient accumulation)
    and processes, so that it does not depend on how they are divided. Figures are written as
    ``train/<name>``, the same on all processes; a log line shows the latest, so the first step that
    begins in an epoch is always measured. A step that a resumed run merely completes is not.
    An optimizer wrapper that clips gradients logs ``grad_norm`` itself. Without clipping this hook
    logs it in the steps that it measures; if such a step is skipped, in the next.

    Args:
        interval: Iterations from one measurement to the next, rounded up to whole steps. Measuring
            costs little; see ``docs/en/howto/health.md``.

    Raises:
        ValueError: if ``interval`` is not positive.
    """

    # Before the hooks that read its figures: CollapseHook and MMEngine's LoggerHook.
    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 10) -> None:
        if interval < 1:
            raise ValueError(f'HealthHook needs an interval >= 1 (iterations), got {interval}')
        self.interval = interval
        self._is_norm_due = False
        self._passes: list[dict[str, Tensor]] = []

    def before_train(self, runner) -> None:
        """Check that the model can be measured; register the hook that logs gradient norms.

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
        """Before an optimizer step: log the gradient norm, unless clipping has logged it."""
        if not self._is_norm_due or is_step_skipped(optimizer):
            return
        self._is_norm_due = False
        if _num_norms(runner) == self._num_norms:
            runner.message_hub.update_scalar(NORM, gradient_norm(optimizer).item())

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """At the first pass of a step, decide whether the step is measured."""
        model = unwrap_model(runner.model)
        if runner.iter == first_pass_of_step(runner):
            size = passes_of_step(runner)
            is_due = runner.iter // size % -(-self.interval // size) == 0
            model.measure_health = is_due or batch_idx < size
            self._is_norm_due = self._is_norm_due or model.measure_health
            self._passes = []
        model.measure({})
        self._num_norms = _num_norms(runner)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Log the figures once a measured step is complete."""
        model = unwrap_model(runner.model)
        if not model.measured:
            return
        self._passes.append(model.measured)
        model.measure({})
        if not runner.optim_wrapper.should_update():
            return
        means = {
            name: torch.stack([measured[name] for measured in self._passes]).mean(dim=0)
            for name in self._passes[-1]
        }
        for mean in means.values():
            all_reduce(mean, op='mean')
        model.measure(means)
        values = torch.stack([value.float() for value in model.health.values()])
        for name, value in zip(model.health, values.tolist(), strict=True):
            runner.message_hub.update_scalar(f'train/{name}', value)

    def after_train(self, runner) -> None:
        """Switch measuring off."""
        unwrap_model(runner.model).measure_health = False
        self._handle.remove()


def _num_norms(runner) -> int:
    buffer = runner.message_hub.log_scalars.get(NORM)
    return 0 if buffer is None else len(buffer.data[0])
