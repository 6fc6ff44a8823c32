"""Resume of a run: latest checkpoint, schedules, gradients of an unfinished accumulation."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.dist import all_reduce
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from .report import describe_mismatch, show

LAST_CHECKPOINT = 'last_checkpoint'
INTERIM = 'interim.pth'  # removed when a regular one is written, so newer than all that exist


def find_resumable(
    work_dir: str | Path, pattern: str, out_dir: str | Path | None = None
) -> str | None:
    """The checkpoint that ``work_dir/last_checkpoint`` names, or the newest one there is.

    Newest is that of the largest number in its name: copying a run changes the times of its files.

    Args:
        work_dir: Folder of the run.
        pattern: Pattern of the checkpoints' names, in which ``*`` stands for a number.
        out_dir: Folder of the checkpoints, where it is not ``work_dir``; both are searched.

    Returns:
        A path; None if the run has written no checkpoint yet.

    Raises:
        FileNotFoundError: if a checkpoint is named, but there is none at all.
    """
    note = Path(work_dir, LAST_CHECKPOINT)
    problem = f'{note} does not exist'
    if note.is_file():
        named = Path(note.read_text(encoding='utf-8').strip() or pattern)
        if named.is_file():
            return str(named)
        problem = f'{note} names {named}, which does not exist'
    name = re.compile(re.escape(pattern).replace(r'\*', r'(\d+)'))
    numbers: dict[Path, float] = {}
    for folder in (Path(out_dir or work_dir), Path(work_dir)):
        for path in folder.glob('*'):
            match = name.fullmatch(path.name)
            if (match or path.name == INTERIM) and path.is_file():
                numbers[path] = int(match[1]) if match else math.inf
    newest = max(numbers, key=lambda path: numbers[path], default=None)
    if newest is not None:
        MMLogger.get_current_instance().warning(f'{problem}; going on from the newest, {newest}')
        return str(newest)
    if not note.is_file():
        return None
    raise FileNotFoundError(
        f'{problem}, nor does any {pattern} in {out_dir or work_dir}. Put the file back, name one '
        f'with --resume PATH, or remove {note} to start anew.'
    )


def check_checkpoint_fits(state_dict: Mapping[str, Tensor], model: nn.Module) -> None:
    """Refuse to resume from weights of another model; MMEngine would only warn.

    Another ``img_size`` (or clip length) is another model here, though positions could be
    interpolated. (To start a new run from weights, see :func:`examine_start`.)

    Args:
        state_dict: State dict of the checkpoint.
        model: The model that is to load it, not wrapped.

    Raises:
        ValueError: lists the first tensors that do not fit.
    """
    expected = model.state_dict()
    given = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    shapes = {k: (tuple(given[k].shape), tuple(v.shape)) for k, v in expected.items() if k in given}
    # Modules name the buffers that files of earlier versions lack, and fill them in.
    filled = {
        f'{name}.{key}'
        for name, module in model.named_modules()
        for key in getattr(module, 'filled_on_load', ())
    }
    problems = [
        *(describe_mismatch(key, pair) for key, pair in shapes.items() if pair[0] != pair[1]),
        *(f'{key}: missing from the file' for key in expected if key not in {*given, *filled}),
        *(f'{key}: unexpected in the file' for key in given if key not in expected),
    ]
    if problems:
        listed = show(problems, separator='\n  ')
        raise ValueError(
            f'the checkpoint is of another model: {len(problems)} tensors do not fit:\n  {listed}\n'
            "Resume with the config that it was trained with (it holds it in meta['cfg']), or "
            'start from its weights alone (load_from without resume).'
        )


def collect_gradients(model: nn.Module) -> dict[str, Tensor]:
    """Gradients of an unfinished accumulation, by parameter, averaged over all processes.

    Every process must call it. Distributed training averages the accumulated gradients before the
    step; to average earlier and then accumulate further gives the same result.
    """
    gradients = {
        name: parameter.grad.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    for gradient in gradients.values():
        all_reduce(gradient, op='mean')
    return {name: gradient.cpu() for name, gradient in gradients.items()}


def restore_gradients(gradients: dict[str, Tensor], model: nn.Module) -> None:
    """Inverse of :func:`collect_gradients`."""
    for name, parameter in model.named_parameters():
        if name in gradients:
            parameter.grad = gradients[name].to(parameter)


def schedules_differ(stored: Sequence[dict], schedulers: Sequence) -> bool:
    """Whether the schedules of a checkpoint are not those of this run.

    They differ if the length of the run, the learning rate or the kind of schedule does. MMEngine
    would load those of the checkpoint, in order, all the same.

    Args:
        stored: States of the checkpoint's schedulers.
        schedulers: Schedulers of this run.
    """
    now = [scheduler.state_dict() for scheduler in schedulers]
    position = {'last_step', '_global_step', '_last_value', 'verbose'}
    return len(stored) != len(now) or any(
        then.keys() != state.keys()
        or any(then[key] != value for key, value in state.items() if key not in position)
        for then, state in zip(stored, now, strict=True)
    )


def restart_schedules(
    checkpoint: dict, schedulers: Sequence, optim_wrapper: OptimWrapper, iters_per_epoch: int
) -> None:
    """Replace a checkpoint's schedules by this run's, advanced to the checkpoint's iteration.

    For a run that resumes with another length, batch size or learning rate: the learning rates and
    weight decays in the checkpoint are those of the run that wrote it.

    Args:
        checkpoint: Changed in place: schedulers, the settings of the optimizer's groups, and those
            that MMEngine keeps to log ``base_lr``.
        schedulers: This run's, not stepped yet.
        optim_wrapper: This run's; the schedulers change its settings.
        iters_per_epoch: This run's.
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
