"""Stop at a loss or gradient that is not finite, and save what is needed to see why."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, get_rank, get_world_size
from mmengine.hooks import Hook
from torch import Tensor

from mmvidssl.registry import HOOKS
from mmvidssl.utils.listing import some

from ..checkpoint import AtomicBackend, to_plain
from ..utils import gradient_norm, is_step_skipped, unwrap_model

FILE_KEYS = ('video_path', 'filename', 'img_path')


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Stop at a loss or gradient that is NaN or infinite, before it reaches the parameters.

    Losses are checked before they are differentiated, gradients just before the optimizer's step.
    A ``GradScaler`` skips steps with infinite gradients, which are normal in float16, so the check
    does not see them; too many skipped steps in a row are not normal and end the run as well. All
    processes learn of one another's losses (one number is reduced in every iteration) and stop
    together; gradients are the same on all.

    The iteration is saved as ``<work_dir>/nan_iter_<iteration>.pth`` (``..._rank<N>.pth`` with
    several processes, by those whose loss is bad), which opens with
    ``torch.load(weights_only=True)``: ``iteration`` (from 1, as in the log), ``epoch``, ``losses``,
    ``bad_gradients`` (names of parameters; none after skipped steps, whose gradients are gone by
    then), ``batch`` (as the data loader gave it), ``state_dict`` (before the step; buffers, such as
    the center, before the forward pass), ``teacher_temp``, ``random_state`` and ``model_cfg``.
    In pretraining ``mmvidssl.apis.replay_iteration`` computes the losses again; models of other
    libraries are watched likewise, but cannot be replayed, and ``model_cfg`` is None. With gradient
    accumulation a bad gradient may stem from an earlier batch than the one saved.

    Args:
        max_skipped_steps: Stop when the loss scaler has skipped so many optimizer steps in a row.
            Each halves the scale, so that 16 bring the usual 65,536 down to 1; after 20 it is not
            the scale that is at fault.

    Raises:
        ValueError: if ``max_skipped_steps`` is not positive.
    """

    # Last, to save batch and random state as all other hooks leave them.
    priority = 'LOWEST'

    def __init__(self, max_skipped_steps: int = 20) -> None:
        if max_skipped_steps < 1:
            raise ValueError(f'max_skipped_steps must be at least 1, got {max_skipped_steps}')
        self.max_skipped_steps = max_skipped_steps
        self._num_skipped = 0
        self._has_stepped = False

    def before_train(self, runner) -> None:
        """Wrap ``parse_losses`` and register an optimizer hook, to check losses and gradients."""
        model = unwrap_model(runner.model)
        parse_losses = model.parse_losses

        def parse_and_check(losses: dict) -> tuple[Tensor, dict[str, Tensor]]:
            total, named = parse_losses(losses)
            # The total and its parts; accuracies, which libraries report too, may be anything.
            self._check_losses(runner, {k: v for k, v in named.items() if 'loss' in k})
            return total, named

        model.parse_losses = parse_and_check
        check_gradients = partial(self._check_gradients, runner)
        self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(check_gradients)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Keep batch, buffers and random state; the parameters do not change until the end."""
        self._batch = data_batch
        self._losses: dict[str, Tensor] = {}
        self._buffers = {name: b.clone() for name, b in unwrap_model(runner.model).named_buffers()}
        self._random_state = dict(cpu=torch.get_rng_state())
        if torch.cuda.is_available():
            self._random_state['cuda'] = torch.cuda.get_rng_state()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Count the optimizer steps that the loss scaler has skipped in a row."""
        if not runner.optim_wrapper.should_update():
            return
        self._num_skipped = 0 if self._has_stepped else self._num_skipped + 1
        self._has_stepped = False
        if self._num_skipped >= self.max_skipped_steps:
            what = f'the loss scaler has skipped {self._num_skipped} optimizer steps in a row'
            self._stop(runner, self._save(runner, what, []))

    def after_train(self, runner) -> None:
        """Restore ``parse_losses`` and remove the optimizer hook."""
        del unwrap_model(runner.model).parse_losses  # the class's own is left
        self._handle.remove()

    def _check_losses(self, runner, losses: dict[str, Tensor]) -> None:
        self._losses = {name: value.detach().float() for name, value in losses.items()}
        is_bad = (~torch.stack(list(self._losses.values())).isfinite()).any().float()
        anywhere = is_bad.clone()
        all_reduce(anywhere, op='max')
        if not anywhere.item():
            return
        message = f'iteration {runner.iter + 1}: the losses of another process are not finite'
        if is_bad.item():
            shown = ', '.join(f'{name}={value.item()}' for name, value in self._losses.items())
            message = self._save(runner, f'the losses are {shown}', [])
        self._stop(runner, message)

    def _check_gradients(self, runner, optimizer, args, kwargs) -> None:
        if is_step_skipped(optimizer):
            return
        self._has_stepped = True
        norm = gradient_norm(optimizer).item()
        if torch.tensor(norm).isfinite():
            return
        parameters = unwrap_model(runner.model).named_parameters()
        bad = [n for n, p in parameters if p.grad is not None and not p.grad.isfinite().all()]
        where = f', in {some(bad)}' if bad else ', by overflow'
        self._stop(runner, self._save(runner, f'the norm of the gradients is {norm}{where}', bad))

    @staticmethod
    def _stop(runner, message: str) -> None:
        """Raise once all processes have saved: launchers kill the rest when the first ends."""
        runner.logger.error(message)
        barrier()
        raise FloatingPointError(message)

    def _save(self, runner, what: str, bad_gradients: list[str]) -> str:
        """Save the iteration; return a message on what was wrong and where it is saved."""
        suffix = f'_rank{get_rank()}' if get_world_size() > 1 else ''
        path = Path(runner.work_dir) / f'nan_iter_{runner.iter + 1}{suffix}.pth'
        try:
            buffer = io.BytesIO()
            torch.save(self._describe(runner, bad_gradients), buffer)
            AtomicBackend().put(buffer.getvalue(), path)
            saved = f'Saved as {path}.'
            if _pretrains(runner):
                saved += f" See it again with mmvidssl.apis.replay_iteration('{path}')."
        except (OSError, TypeError) as error:
            saved = f'It could not be saved: {error}.'
        return (
            f'iteration {runner.iter + 1}: {what}. The run is stopped, and no parameter has been '
            f'changed by it. {saved} Often the learning rate is too high or the input is broken.'
            f'{_files_of(self._batch)}'
        )

    def _describe(self, runner, bad_gradients: list[str]) -> dict:
        """The iteration as plain data."""
        model = unwrap_model(runner.model)
        state = {k: self._buffers.get(k, v).cpu() for k, v in model.state_dict().items()}
        return dict(
            iteration=runner.iter + 1,
            epoch=runner.epoch + 1,
            losses={name: value.item() for name, value in self._losses.items()},
            bad_gradients=bad_gradients,
            batch=to_plain(self._batch),
            state_dict=state,
            teacher_temp=getattr(getattr(model, 'target_generator', None), 'teacher_temp', None),
            random_state=dict(seed=runner.seed, rank=get_rank(), **self._random_state),
            model_cfg=to_plain(runner.cfg.get('model')) if _pretrains(runner) else None,
        )


def _pretrains(runner) -> bool:
    """Whether the model is one of our algorithms, so that iterations can be replayed."""
    return hasattr(unwrap_model(runner.model), 'target_generator')


def _files_of(batch: Any) -> str:
    """Sentence that names the files of a batch; empty if they are not known."""
    samples = batch.get('data_samples') if isinstance(batch, dict) else None
    infos = [getattr(sample, 'metainfo', {}) for sample in samples or ()]
    paths = [str(info[key]) for info in infos for key in FILE_KEYS if info.get(key)]
    return f' The batch: {", ".join(dict.fromkeys(paths))}.' if paths else ''
