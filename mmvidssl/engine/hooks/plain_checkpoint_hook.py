"""Write checkpoints as plain data, atomically, with all that an exact resume needs."""

import logging
import os.path as osp
import time

import torch
from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import CheckpointHook
from torch import Tensor, nn

from mmvidssl.registry import HOOKS

from ..checkpoint import (
    INTERIM,
    LAST_CHECKPOINT,
    AtomicBackend,
    check_checkpoint_fits,
    collect_gradients,
    examine_start,
    find_resumable,
    pack_message_hub,
    restart_schedules,
    restore_gradients,
    schedules_differ,
    unpack_message_hub,
)
from ..utils import unwrap_model
from .pretrained_report_hook import PretrainedReportHook, is_only_tested


@HOOKS.register_module()
class PlainCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, whose files hold plain data and are never half written.

    MMEngine 0.10 stores objects that ``torch.load(weights_only=True)`` refuses (the default since
    torch 2.6), so that its own ``resume`` fails. What else differs:

    - files are written to a temporary name, synced and renamed, ``last_checkpoint`` included, and
      older checkpoints are removed after that, so that a full disk leaves the previous one;
    - a checkpoint of another model is not resumed, and one to start from must cover the backbone
      (to test, all of the model); see :func:`examine_start`;
    - the position in the data is kept, if the training loop has one
      (:class:`ResumableEpochTrainLoop`), and the gradients of an unfinished accumulation;
    - if ``last_checkpoint``, or the file that it names, is missing, the newest is resumed;
    - where an epoch takes long, or training is stopped between two checkpoints (a time limit),
      ``interim.pth`` is written.

    Args:
        minutes: Write ``interim.pth`` when this many minutes have passed since the last checkpoint;
            the next regular one replaces it. Only in a loop that can resume within an epoch.
        **kwargs: As MMEngine's ``CheckpointHook`` takes.
    """

    def __init__(
        self, *args, backend_args: dict | None = None, minutes: float | None = None, **kwargs
    ) -> None:
        super().__init__(*args, backend_args=backend_args or dict(backend='atomic'), **kwargs)
        self.minutes = minutes
        self._gradients: dict[str, Tensor] = {}

    def before_run(self, runner) -> None:
        """Find the checkpoint to resume from, if none is named.

        Raises:
            FileNotFoundError: if checkpoints were written, but all are gone.
        """
        if runner._resume and runner._load_from is None:
            out_dir = self.out_dir
            if out_dir is not None and out_dir != runner.work_dir:
                # Where MMEngine's hook will write; it finds out only once training begins.
                out_dir = osp.join(out_dir, osp.basename(runner.work_dir.rstrip(osp.sep)))
            pattern = self.filename_tmpl.format('*')
            runner._load_from = find_resumable(runner.work_dir, pattern, out_dir)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Convert the message hub to plain data; add what an exact resume needs."""
        checkpoint['message_hub'] = pack_message_hub(checkpoint['message_hub'])
        if hasattr(runner.train_loop, 'state_dict'):
            checkpoint['train_loop'] = runner.train_loop.state_dict()
        if self._gradients:
            checkpoint['gradients'] = self._gradients

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Check that the weights fit; restore what :meth:`before_save_checkpoint` added.

        Raises:
            ValueError: if the checkpoint is of another architecture or, to resume, data set.
        """
        model = unwrap_model(runner.model)
        if runner._resume:
            check_checkpoint_fits(checkpoint.get('state_dict', checkpoint), model)
        else:
            self._start(runner, model, checkpoint)
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = unpack_message_hub(checkpoint['message_hub'])
        if not runner._resume:
            return
        has_moved = False
        if hasattr(runner.train_loop, 'load_state_dict'):
            has_moved = self._restore_position(runner, checkpoint)
        self._restore_schedules(runner, checkpoint, has_moved)
        if 'gradients' in checkpoint:
            restore_gradients(checkpoint['gradients'], model)
            runner.logger.info('restored the gradients of an unfinished accumulation')
            for handler in runner.logger.handlers:
                handler.addFilter(_is_no_false_alarm)

    @staticmethod
    def _start(runner, model: nn.Module, checkpoint: dict) -> None:
        if any(isinstance(hook, PretrainedReportHook) for hook in runner.hooks):
            return  # that hook does the same, and knows which tensors may be new
        state_dict = checkpoint.get('state_dict', checkpoint)
        name = runner._load_from or 'the checkpoint'
        start = examine_start(model, state_dict, name, is_whole=is_only_tested(runner))
        start.filter_checkpoint_(checkpoint)
        runner.logger.info(start.report())

    def _restore_position(self, runner, checkpoint: dict) -> bool:
        """Restore the loop's position; return whether its iteration is not the checkpoint's."""
        loop, meta = runner.train_loop, checkpoint['meta']
        if 'train_loop' not in checkpoint:
            raise ValueError(
                'the checkpoint lacks the position in the data, which '
                f'{type(loop).__name__} needs. Resume it with the loop it was trained with, or '
                'start from its weights (load_from without resume).'
            )
        loop.load_state_dict(checkpoint['train_loop'])
        iteration_then = meta['iter']
        meta.update(epoch=loop.epoch, iter=loop.iter)
        has_moved = iteration_then != loop.iter
        if has_moved and checkpoint.pop('gradients', None):
            runner.logger.warning('the gradients of an unfinished accumulation are dropped')
        return has_moved

    @staticmethod
    def _restore_schedules(runner, checkpoint: dict, has_moved: bool) -> None:
        """Restart the schedules if they differ from the checkpoint's; else MMEngine loads them."""
        schedulers, stored = runner.param_schedulers, checkpoint.get('param_schedulers')
        if 'optimizer' not in checkpoint or not isinstance(schedulers, list):
            return
        if has_moved or schedules_differ(stored or [], schedulers):
            loader = runner.train_loop.dataloader
            restart_schedules(checkpoint, schedulers, runner.optim_wrapper, len(loader))
            runner.logger.info(
                "schedules go on as this run's config has them: learning rates, weight decay or "
                "length differ from the checkpoint's"
            )

    def before_train(self, runner) -> None:
        """Set up the folder of the checkpoints, and the clock."""
        super().before_train(runner)
        self._written_at, self._written_iter = time.monotonic(), runner.iter

    def after_train_iter(self, runner, *args, **kwargs) -> None:
        """Write a checkpoint if it is time for one."""
        super().after_train_iter(runner, *args, **kwargs)
        if self.minutes is None or not hasattr(runner.train_loop, 'state_dict'):
            return
        is_due = torch.tensor(float(time.monotonic() - self._written_at > 60 * self.minutes))
        broadcast(is_due)  # clocks differ, and all processes take part
        if is_due.item():
            meta = dict(epoch=runner.epoch, iter=runner.iter + 1)
            self._write(runner, INTERIM, meta, by_epoch=False)

    def after_train(self, runner) -> None:
        """Write what a loop that was stopped (``stop_training``) has done since the last one."""
        if runner.train_loop.stop_training and runner.iter != self._written_iter:
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._write(runner, INTERIM, meta, by_epoch=False)
        super().after_train(runner)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Keep the best checkpoint of a training; a validation alone has none to keep."""
        if not is_only_tested(runner):
            super().after_val_epoch(runner, metrics)

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        outdated = self._choose_outdated(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._write(runner, name, meta, self.by_epoch)
        if is_main_process():
            for path in [*outdated, self.file_backend.join_path(self.out_dir, INTERIM)]:
                if self.file_backend.isfile(path):
                    self.file_backend.remove(path)

    def _write(self, runner, name: str, meta: dict, by_epoch: bool) -> None:
        """Write a checkpoint, and note that it is the one to resume from."""
        is_accumulating = not runner.optim_wrapper.should_update()
        self._gradients = collect_gradients(unwrap_model(runner.model)) if is_accumulating else {}
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._gradients = {}
        if is_main_process():
            path = self.file_backend.join_path(self.out_dir, name)
            AtomicBackend().put_text(path, osp.join(runner.work_dir, LAST_CHECKPOINT))
        self._written_at, self._written_iter = time.monotonic(), meta['iter']

    def _choose_outdated(self, runner, step: int) -> list[str]:
        """Record that ``step`` is kept; return the paths of checkpoints that may be removed."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return []
        outdated = [*self.keep_ckpt_ids, step][: -self.max_keep_ckpts]
        self.keep_ckpt_ids.append(step)  # of bounded length: drops the outdated
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        names = [self.filename_tmpl.format(number) for number in outdated]
        return [self.file_backend.join_path(self.out_dir, name) for name in names]


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    """Log filter: hide MMEngine's warning of lost gradients, which have been restored."""
    return 'the gradient of some iterations is lost' not in record.getMessage()
