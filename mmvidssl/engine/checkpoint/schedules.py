"""Schedules of a run that goes on with another number of iterations an epoch."""

from collections.abc import Sequence


def restart_schedules(
    checkpoint: dict, schedulers: Sequence, param_groups: Sequence[dict], iters_per_epoch: int
) -> None:
    """Put this run's own schedules into a checkpoint, advanced to where it goes on.

    Learning rates and weight decays of a checkpoint belong to the number of iterations, and to the
    base learning rate, of the run that wrote it. Here the schedulers of the present run are stepped
    up to the checkpoint's iteration.

    Args:
        checkpoint: Changed in place: schedulers, and the settings of the optimizer's groups.
        schedulers: Of this run, fresh.
        param_groups: Of this run's optimizer, fresh; the schedulers change them.
        iters_per_epoch: Of this run.
    """
    for iteration in range(1, checkpoint['meta']['iter'] + 1):
        epoch_ends = iteration % iters_per_epoch == 0
        for scheduler in schedulers:
            if epoch_ends or not scheduler.by_epoch:
                scheduler.step()
    checkpoint['param_schedulers'] = [scheduler.state_dict() for scheduler in schedulers]
    for stored, fresh in zip(checkpoint['optimizer']['param_groups'], param_groups, strict=True):
        stored.update({key: value for key, value in fresh.items() if key != 'params'})
