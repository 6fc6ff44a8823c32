"""Schedules of a run that goes on with another number of iterations an epoch."""

from collections.abc import Sequence

from mmengine.optim import OptimWrapper


def restart_schedules(
    checkpoint: dict, schedulers: Sequence, optim_wrapper: OptimWrapper, iters_per_epoch: int
) -> None:
    """Put this run's own schedules into a checkpoint, advanced to where it goes on.

    Learning rates and weight decays of a checkpoint belong to the number of iterations, and to the
    base learning rate, of the run that wrote it. Here the schedulers of the present run are stepped
    up to the checkpoint's iteration.

    Args:
        checkpoint: Changed in place: schedulers, the settings of the optimizer's groups, and those
            that MMEngine keeps to log ``base_lr``.
        schedulers: Of this run, fresh.
        optim_wrapper: Of this run, fresh; the schedulers change its settings.
        iters_per_epoch: Of this run.
    """
    for iteration in range(1, checkpoint['meta']['iter'] + 1):
        epoch_ends = iteration % iters_per_epoch == 0
        for scheduler in schedulers:
            if epoch_ends or not scheduler.by_epoch:
                scheduler.step()
    checkpoint['param_schedulers'] = [scheduler.state_dict() for scheduler in schedulers]
    optimizer = checkpoint['optimizer']
    groups = zip(optimizer['param_groups'], optim_wrapper.optimizer.param_groups, strict=True)
    for stored, fresh in groups:
        stored.update({key: value for key, value in fresh.items() if key != 'params'})
    if optim_wrapper.base_param_settings is not None:
        optimizer['base_param_settings'] = dict(optim_wrapper.base_param_settings)
