"""Learning rate scaled by the whole batch; summary of the run, and warnings, at its start."""

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.lr_scheduler import LinearLR
from mmengine.runner import BaseLoop, IterBasedTrainLoop

from mmvidssl.registry import HOOKS

from ..utils import passes_of_step

# Standard deviation of the initial weight matrices of ViT and MViT.
INITIAL_SPREAD = 0.02


@HOOKS.register_module()
class ScheduleHook(Hook):
    """Scale the learning rate by the whole batch; log a summary of the run, and warnings.

    MMEngine's ``auto_scale_lr`` accounts for processes and batch size; this hook adds accumulated
    passes, and the floor ``min_lr``. One log line at the start has iterations, steps, warm-up, peak
    rate and batch; warnings name the option to change where

    - the steps are too few or too small: Adam moves a weight by about the learning rate per step,
      and all steps together move it by less than the spread of initial weights;
    - half of the run or more is warm-up;
    - the last schedule of a setting (``lr``, ``weight_decay``) does not end with the run, or never
      begins.

    In the log, ``lr`` is the largest rate of all groups (MMEngine's is the first group's, the
    lowest layer's under layer decay), and ``base_lr`` is scaled as the others are.

    Args:
        min_lr: The peak rate is at least this, however small the batch.

    Raises:
        ValueError: if it is negative.
    """

    def __init__(self, min_lr: float = 0.0) -> None:
        if min_lr < 0:
            raise ValueError(f'min_lr must not be negative, got {min_lr}')
        self.min_lr = min_lr

    def before_run(self, runner) -> None:
        """Scale the rates, after optimizer and schedules are built and before a run is resumed."""
        wrapper = runner.optim_wrapper
        if not (isinstance(runner._train_loop, BaseLoop) and hasattr(wrapper, 'optimizer')):
            return
        peak, by_runner, by_passes = _peak(wrapper), 1.0, 1
        if runner.auto_scale_lr and runner.auto_scale_lr.get('enable'):
            by_runner = _batch_size(runner) / runner.auto_scale_lr['base_batch_size']
            by_passes = passes_of_step(runner)
        factor = max(by_passes, self.min_lr / peak if peak else 0.0)
        for group in wrapper.param_groups:
            # The runner has scaled all groups but this one, which base_lr is logged from.
            is_base = group is wrapper.base_param_settings
            for key in {'lr', 'initial_lr'} & group.keys():
                group[key] *= factor * by_runner if is_base else factor
        for scheduler in runner.param_schedulers or []:
            if scheduler.param_name == 'lr':
                scheduler.base_values = [group['initial_lr'] for group in wrapper.param_groups]

    def before_train(self, runner) -> None:
        """Log the summary line and the warnings."""
        if not hasattr(runner.optim_wrapper, 'optimizer'):
            return
        passes, peak = passes_of_step(runner), _peak(runner.optim_wrapper)
        batch, steps = _batch_size(runner) * passes, -(-runner.max_iters // passes)
        # MMEngine's loop of iterations is one epoch, so that schedules in epochs never move.
        has_epochs = not isinstance(runner.train_loop, IterBasedTrainLoop)
        every = runner.param_schedulers or []
        schedulers = [scheduler for scheduler in every if has_epochs or not scheduler.by_epoch]
        warmup = sum(_num_warmup(scheduler) * _unit(runner, scheduler) for scheduler in schedulers)
        of = '' if passes == 1 else f', {passes} for a step of the optimizer'
        scaling = runner.auto_scale_lr or {}
        base = batch if scaling.get('enable') else scaling.get('base_batch_size', batch)
        note = f', not scaled from the {base} it is meant for (auto_scale_lr.enable=True scales it)'
        runner.logger.info(
            f'{runner.max_iters} iterations{of}: {warmup} of warm-up, peak learning rate '
            f'{peak:.3g} for {batch} samples a step{note if base != batch else ""}'
        )
        warn = runner.logger.warning
        optimizer = type(runner.optim_wrapper.optimizer).__name__
        if 'Adam' in optimizer and peak * steps < INITIAL_SPREAD:
            warn(
                f'this run hardly learns: {steps} steps of at most {peak:.3g} move a weight by '
                f'{peak * steps:.2g}, and weights are drawn with a spread of {INITIAL_SPREAD}. '
                'Train longer (train_cfg), or raise the rate (optim_wrapper.optimizer.lr, or '
                'min_lr of ScheduleHook).'
            )
        if 2 * warmup > runner.max_iters:
            warn(
                f'{warmup} of {runner.max_iters} iterations are warm-up: train longer (train_cfg), '
                "or shorten it (param_scheduler; type='mmvidssl.WarmupCosineLR' does so by itself)."
            )
        for name in {scheduler.param_name for scheduler in every if scheduler not in schedulers}:
            warn(
                f'the schedule of {name} counts epochs, which IterBasedTrainLoop has none of: it '
                'stays as it begins. Set by_epoch=False in param_scheduler, and give iterations.'
            )
        by_end = sorted(schedulers, key=lambda scheduler: scheduler.end * _unit(runner, scheduler))
        for name, last in {scheduler.param_name: scheduler for scheduler in by_end}.items():
            length, unit = runner.max_iters, 'iterations'
            if last.by_epoch:
                length, unit = runner.max_epochs, 'epochs'
            if last.end != length:
                warn(
                    f'the schedule of {name} is for {last.end} {unit}, and the run has {length}: '
                    'fit param_scheduler to it (end and T_max follow train_cfg where they are left '
                    'out)'
                )

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Log the largest rate of all groups, in place of MMEngine's, the first group's."""
        if hasattr(runner.optim_wrapper, 'optimizer'):
            rates = runner.optim_wrapper.get_lr()['lr']
            if rates[0] < max(rates):
                runner.message_hub.update_scalar('train/lr', max(rates))


def _peak(wrapper: OptimWrapper) -> float:
    """Largest rate of any group, before schedules."""
    return max(g.get('initial_lr', g['lr']) for g in wrapper.optimizer.param_groups)


def _num_warmup(scheduler) -> int:
    """Warm-up steps of a schedule, ours or MMEngine's."""
    if isinstance(scheduler, LinearLR) and scheduler.start_factor < scheduler.end_factor:
        return scheduler.end - scheduler.begin
    return getattr(scheduler, 'num_warmup', 0)


def _unit(runner, scheduler) -> int:
    """Iterations per step of a schedule: those of an epoch, or 1."""
    return len(runner.train_dataloader) if scheduler.by_epoch else 1


def _batch_size(runner) -> int:
    """Samples per forward pass, of all processes together."""
    loader = runner.train_dataloader
    return (getattr(loader.batch_sampler, 'batch_size', None) or 1) * get_world_size()
