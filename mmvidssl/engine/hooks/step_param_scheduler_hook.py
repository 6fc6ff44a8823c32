"""Schedules under gradient accumulation."""

from mmengine.hooks import ParamSchedulerHook

from mmvidssl.registry import HOOKS


@HOOKS.register_module()
class StepParamSchedulerHook(ParamSchedulerHook):
    """MMEngine's ``ParamSchedulerHook``, but an optimizer step uses the rates of its first pass.

    Learning rates and weight decay of an accumulated step are then those of one large batch.
    MMEngine advances schedules in every pass, so that a step uses the rates of its last.
    """

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """At the end of a step, advance the schedules that count iterations by all its passes."""
        if not isinstance(runner.param_schedulers, list):  # of several optimizers, or none
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
            return
        if not runner.optim_wrapper.should_update():
            return
        for scheduler in runner.param_schedulers:
            while not scheduler.by_epoch and scheduler._global_step <= runner.iter:
                scheduler.step()
