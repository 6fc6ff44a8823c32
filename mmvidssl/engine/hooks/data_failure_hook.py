"""Counts what could not be read, and ends a run that loses too much."""

import json
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop

from mmvidssl.registry import HOOKS

from ..checkpoint import AtomicBackend

REPORT = 'broken_videos.json'
CHECK_INTERVAL = 20
NUM_SHOWN = 10


class BrokenDataError(RuntimeError):
    """Too many samples cannot be read."""


@HOOKS.register_module()
class DataFailureHook(Hook):
    """Log how many samples were replaced because their videos could not be read, and which.

    The data sets tell it in ``decode_failures`` of their data samples; batches of other data sets
    count as read. At the end of each epoch (in MMEngine's ``IterBasedTrainLoop``, whose epoch is
    the whole run, also every ``interval`` iterations) one line is logged, and
    ``<work_dir>/broken_videos.json`` written, over all processes:

    - ``num_samples``, ``num_replaced``: since training began or was resumed;
    - ``videos``: each with ``path``, ``reason`` (the last one), ``times`` (how often it failed,
      those included where a second trial went well; once for samples that are decoded together, and
      not where nothing was tried because of the quarantine) and ``quarantined`` (whether a worker
      reads it no more), those with the most failures first.

    Every 20 iterations the counts are reduced over all processes, and the report is written if
    there is something new. All processes stop together when too much is lost.

    Args:
        max_failed_share: Largest share of the samples since the epoch began that may be replaced.
        min_failed: The run is not stopped for fewer than so many, so that a video that comes up in
            the first batches does not count as a large share.
        interval: Iterations between log lines in a loop without epochs.

    Raises:
        ValueError: impossible options.
    """

    priority = 'LOW'

    def __init__(
        self, max_failed_share: float = 0.05, min_failed: int = 10, interval: int = 1000
    ) -> None:
        if not 0 <= max_failed_share <= 1 or min_failed < 1 or interval < 1:
            raise ValueError(
                'max_failed_share must be in [0, 1], min_failed and interval positive; got '
                f'{max_failed_share}, {min_failed} and {interval}'
            )
        self.max_failed_share = max_failed_share
        self.min_failed = min_failed
        self.interval = interval

    def before_train(self, runner) -> None:
        """Begin to count."""
        self._done = (0, 0)  # samples and replaced ones of earlier epochs, of all processes
        self._num_written = 0
        self._videos: dict[str, dict] = {}  # of this process, like the counts below
        self._num_samples = self._num_replaced = self._num_failures = 0

    def before_train_epoch(self, runner) -> None:
        """The share counts from here."""
        self._num_samples = self._num_replaced = 0

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Count a batch, and look at the counts of all processes now and then.

        Raises:
            BrokenDataError: too many samples could not be read.
        """
        for sample in _samples_of(data_batch):
            self._count(getattr(sample, 'metainfo', {}).get('decode_failures', ()))
        has_no_epochs = isinstance(runner.train_loop, IterBasedTrainLoop)
        if has_no_epochs and self.every_n_train_iters(runner, self.interval):
            self._finish(runner, f'iteration {runner.iter + 1}')
        elif self.every_n_inner_iters(batch_idx, CHECK_INTERVAL):
            self._check(runner)

    def after_train_epoch(self, runner, metrics=None) -> None:
        """Log and write.

        Raises:
            BrokenDataError: too many samples could not be read.
        """
        num_samples, num_replaced = self._finish(runner, f'epoch {runner.epoch + 1}')
        self._done = (self._done[0] + num_samples, self._done[1] + num_replaced)

    def _count(self, failures: list[dict]) -> None:
        self._num_samples += 1
        self._num_replaced += any(failure['replaced'] for failure in failures)
        for failure in failures:
            self._num_failures += 1  # also what counts no times is new
            add_to(self._videos, failure)

    def _check(self, runner) -> tuple[int, int]:
        """Samples and replaced ones of this epoch, of all processes."""
        counts = torch.tensor([self._num_samples, self._num_replaced, self._num_failures])
        all_reduce(counts)
        num_samples, num_replaced, num_failures = counts.tolist()
        if num_failures > self._num_written:
            self._write(runner, num_samples, num_replaced)
            self._num_written = num_failures
        if num_replaced >= self.min_failed and num_replaced > self.max_failed_share * num_samples:
            self._stop(runner, num_samples, num_replaced)
        return num_samples, num_replaced

    def _finish(self, runner, when: str) -> tuple[int, int]:
        num_samples, num_replaced = self._check(runner)
        line = f'{when}: {num_replaced:,} of {num_samples:,} samples replaced'
        if num_replaced:
            line += f', because videos could not be read: see {_report_of(runner)}'
        runner.logger.info(line)
        self._write(runner, num_samples, num_replaced)
        return num_samples, num_replaced

    def _gather(self) -> list[dict]:
        """The videos that failed on any process, those with the most failures first."""
        merged: dict[str, dict] = {}
        for videos in all_gather_object(self._videos):
            for video in videos.values():
                add_to(merged, video)
        return sorted(merged.values(), key=lambda video: (-video['times'], video['path']))

    def _write(self, runner, num_samples: int, num_replaced: int) -> None:
        report = dict(
            num_samples=self._done[0] + num_samples,
            num_replaced=self._done[1] + num_replaced,
            videos=self._gather(),
        )
        if not is_main_process():
            return
        text = json.dumps(report, indent=2, ensure_ascii=False)
        try:
            AtomicBackend().put_text(text, _report_of(runner))
        except OSError as error:  # a full disk is for the checkpoint to end the run by
            runner.logger.warning(f'the report of broken videos was not written: {error}')

    def _stop(self, runner, num_samples: int, num_replaced: int) -> None:
        videos = self._gather()
        more = [f'and {len(videos) - NUM_SHOWN} more'] if len(videos) > NUM_SHOWN else []
        message = '\n  '.join(
            [
                f'{num_replaced} of the {num_samples} samples since the epoch began could not be '
                f'read, more than max_failed_share={self.max_failed_share}. Repair these videos '
                f'(or their disk), or take them from the data; all are in {_report_of(runner)}:',
                *(f'{v["path"]} ({v["times"]} times): {v["reason"]}' for v in videos[:NUM_SHOWN]),
                *more,
            ]
        )
        runner.logger.error(message)
        raise BrokenDataError(message)


def add_to(videos: dict[str, dict], failed: dict) -> None:
    """Add the failures of a video to those known, by path; the latest reason stays."""
    path = failed['path']
    known = videos.get(path, dict(times=0, quarantined=False))
    videos[path] = dict(
        path=path,
        reason=failed['reason'],
        times=known['times'] + failed['times'],
        quarantined=known['quarantined'] or failed['quarantined'],
    )


def _samples_of(data_batch: Any) -> list:
    samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
    return list(samples) if isinstance(samples, (list, tuple)) else []


def _report_of(runner) -> Path:
    return Path(runner.work_dir) / REPORT
