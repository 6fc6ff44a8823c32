"""The learning rate for the whole batch; what the run is going to do; warnings before it does."""

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.lr_scheduler import LinearLR
from mmengine.runner import BaseLoop, IterBasedTrainLoop

from mmvidssl.registry import HOOKS

from ..accumulation import passes_of_step

# Of matrices at the beginning: the standard deviation that ViT and MViT draw them with.
INITIAL_SPREAD = 0.02
FOREVER = int(1e9)  # MMEngine's `end` of a schedule that has none


@HOOKS.register_module()
class ScheduleHook(Hook):
    """Scale the learning rate by the whole batch, and say what the run is going to do.

    MMEngine's ``auto_scale_lr`` knows processes and batch size; this hook adds the passes that are
    accumulated for a step, and the floor. One line at the start tells iterations, steps, warm-up,
    peak rate and batch; warnings name the option to change where

    - the steps are too few or too small: Adam moves a weight by about the rate in each, and by less
      than the spread of initial weights in all of them;
    - half of the run or more is warm-up;
    - a schedule ends after the run or, of the learning rate, long before it.

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
        """Scale the rates, once they and their schedules are built and before a run is resumed."""
        wrapper = runner.optim_wrapper
        if not (isinstance(runner._train_loop, BaseLoop) and hasattr(wrapper, 'optimizer')):
            return
        scaling = runner.auto_scale_lr or {}
        rate, by_runner, by_passes = _peak(wrapper), 1.0, 1
        if scaling.get('enable'):
            by_runner = _batch_size(runner) / scaling['base_batch_size']
            by_passes = passes_of_step(runner)
        factor = max(by_passes, self.min_lr / rate if rate else 0.0)
        groups = [(group, factor) for group in wrapper.optimizer.param_groups]
        if wrapper.base_param_settings is not None:  # of base_lr, which the runner leaves alone
            groups.append((wrapper.base_param_settings, factor * by_runner))
        for group, scale in groups:
            for key in {'lr', 'initial_lr'} & group.keys():
                group[key] *= scale
        for scheduler in _schedulers(runner):
            if scheduler.param_name == 'lr':
                scheduler.base_values = [group['initial_lr'] for group in wrapper.param_groups]

    def before_train(self, runner) -> None:
        """Say it in a line, and warn."""
        wrapper = runner.optim_wrapper
        if not hasattr(wrapper, 'optimizer'):
            return
        passes, peak = passes_of_step(runner), _peak(wrapper)
        batch, steps = _batch_size(runner) * passes, -(-runner.max_iters // passes)
        warmup = sum(_num_warmup(runner, scheduler) for scheduler in _schedulers(runner))
        of = '' if passes == 1 else f', {passes} for a step of the optimizer'
        runner.logger.info(
            f'{runner.max_iters} iterations{of}: {warmup} of warm-up, peak learning rate '
            f'{peak:.3g} for {batch} samples a step{self._note(runner, batch)}'
        )
        longer = 'train longer (train_cfg)'
        if 'Adam' in type(wrapper.optimizer).__name__ and peak * steps < INITIAL_SPREAD:
            runner.logger.warning(
                f'this run hardly learns: {steps} steps of at most {peak:.3g} move a weight by '
                f'{peak * steps:.2g}, and weights are drawn with a spread of {INITIAL_SPREAD}. '
                f'{longer.capitalize()}, or raise the rate (optim_wrapper.optimizer.lr, or min_lr '
                'of ScheduleHook).'
            )
        if 2 * warmup > runner.max_iters:
            runner.logger.warning(
                f'{warmup} of {runner.max_iters} iterations are warm-up: {longer}, or shorten '
                "it (param_scheduler; type='mmvidssl.WarmupCosineLR' does so by itself)."
            )
        self._check_ends(runner)

    @staticmethod
    def _note(runner, batch: int) -> str:
        """Whose batch the rate is for, if it is not that of this run."""
        scaling = runner.auto_scale_lr or {}
        base = scaling.get('base_batch_size', batch)
        if scaling.get('enable') or base == batch:
            return ''
        return f', not scaled from the {base} it is meant for (auto_scale_lr.enable=True scales it)'

    @staticmethod
    def _check_ends(runner) -> None:
        """Of each parameter, the last schedule should end with the run."""
        last: dict[tuple, int] = {}
        for scheduler in _schedulers(runner):
            kind = (scheduler.param_name, scheduler.by_epoch)
            if scheduler.end < FOREVER:
                last[kind] = max(last.get(kind, 0), scheduler.end)
        for (name, by_epoch), end in last.items():
            if by_epoch and isinstance(runner.train_loop, IterBasedTrainLoop):
                continue
            length, unit = (
                (runner.max_epochs, 'epochs') if by_epoch else (runner.max_iters, 'iterations')
            )
            is_alone = sum(other == name for other, _ in last) == 1
            if end > length or (is_alone and end < length):
                runner.logger.warning(
                    f'the schedule of {name} is for {end} {unit}, and the run has {length}: fit '
                    'param_scheduler to it (end and T_max follow train_cfg where they are left out)'
                )

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Put the rate that is in use into the log, where MMEngine has put the first group's."""
        wrapper = runner.optim_wrapper
        if not hasattr(wrapper, 'optimizer'):
            return
        rates = wrapper.get_lr()['lr']
        if rates[0] < max(rates):
            runner.message_hub.update_scalar('train/lr', max(rates))


def _peak(wrapper: OptimWrapper) -> float:
    """Largest rate of any group, before schedules."""
    return max(g.get('initial_lr', g['lr']) for g in wrapper.optimizer.param_groups)


def _num_warmup(runner, scheduler) -> int:
    """Iterations in which a schedule, ours or MMEngine's, lets the rate rise."""
    if isinstance(scheduler, LinearLR) and scheduler.start_factor < scheduler.end_factor:
        length = scheduler.end - scheduler.begin
    else:
        length = getattr(scheduler, 'num_warmup', 0)
    return length * (len(runner.train_dataloader) if scheduler.by_epoch else 1)


def _batch_size(runner) -> int:
    """Samples of all processes in a pass."""
    loader = runner.train_dataloader
    return (getattr(loader.batch_sampler, 'batch_size', None) or 1) * get_world_size()


def _schedulers(runner) -> list:
    schedulers = runner.param_schedulers
    return schedulers if isinstance(schedulers, list) else []
