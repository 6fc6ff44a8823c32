"""Count samples whose videos cannot be read, and end a run that loses too many."""

import json
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook

from mmvidssl.registry import HOOKS
from mmvidssl.utils.listing import some

from ..checkpoint import AtomicBackend

REPORT = 'broken_videos.json'
CHECK_INTERVAL = 20


class BrokenDataError(RuntimeError):
    """Too many samples cannot be read."""


@HOOKS.register_module()
class DataFailureHook(Hook):
    """Log how many samples were replaced because their videos could not be read, and which.

    Data sets report failures in ``decode_failures`` of their data samples; samples without it count
    as read. At the end of each epoch one line is logged, and ``<work_dir>/broken_videos.json`` is
    written, for all processes together:

    - ``num_samples``, ``num_replaced``: since training began or was resumed;
    - ``videos``: each with ``path``, ``reason`` (the last one), ``times`` (reads that failed, and
      samples for which it was not read because of the quarantine) and ``quarantined`` (whether a
      worker has stopped reading it), the most frequent ones first.

    Every 20 iterations the counts of all processes are added up, and the report is written if it
    has changed. All processes stop together when too many samples are lost.

    Args:
        max_failed_share: Largest share of the samples since the epoch began that may be replaced.
        min_failed: Number of replaced samples below which the run is not stopped: in the first
            batches of an epoch, a single bad video would be a large share.

    Raises:
        ValueError: if an option is out of its range.
    """

    REMOVED = dict(interval=f'the report is written at most {CHECK_INTERVAL} iterations later')
    priority = 'LOW'

    def __init__(self, max_failed_share: float = 0.05, min_failed: int = 10) -> None:
        if not 0 <= max_failed_share <= 1 or min_failed < 1:
            raise ValueError(
                'max_failed_share must be in [0, 1] and min_failed positive; got '
                f'{max_failed_share} and {min_failed}'
            )
        self.max_failed_share = max_failed_share
        self.min_failed = min_failed

    def before_train(self, runner) -> None:
        """Reset all counts."""
        self._videos: dict[str, dict] = {}  # of this process, like the counts
        self._num_samples = self._num_replaced = 0
        self._done = (0, 0)  # of earlier epochs, of all processes
        self._written: list[dict] = []

    def before_train_epoch(self, runner) -> None:
        """Reset the counts of the epoch."""
        self._num_samples = self._num_replaced = 0

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Count a batch; every 20 iterations, check the counts of all processes.

        Raises:
            BrokenDataError: if too many samples could not be read.
        """
        for sample in _samples_of(data_batch):
            failures = getattr(sample, 'metainfo', {}).get('decode_failures', ())
            self._num_samples += 1
            self._num_replaced += any(failure['replaced'] for failure in failures)
            for failure in failures:
                add_to(self._videos, dict(failure, times=1))
        if self.every_n_inner_iters(batch_idx, CHECK_INTERVAL):
            self._check(runner)

    def after_train_epoch(self, runner, metrics=None) -> None:
        """Log the counts of the epoch and write the report.

        Raises:
            BrokenDataError: if too many samples could not be read.
        """
        num_samples, num_replaced = self._check(runner, is_last=True)
        line = f'epoch {runner.epoch + 1}: {num_replaced:,} of {num_samples:,} samples replaced'
        if num_replaced:
            line += f', because videos could not be read: see {_report_of(runner)}'
        runner.logger.info(line)
        self._done = (self._done[0] + num_samples, self._done[1] + num_replaced)

    def _check(self, runner, is_last: bool = False) -> tuple[int, int]:
        """Numbers of samples and of replaced ones in this epoch; write the report, or stop."""
        counts = all_gather_object((self._num_samples, self._num_replaced, self._videos))
        num_samples, num_replaced = (sum(count[i] for count in counts) for i in range(2))
        merged: dict[str, dict] = {}
        for *_, of_process in counts:
            for video in of_process.values():
                add_to(merged, video)
        videos = sorted(merged.values(), key=lambda video: (-video['times'], video['path']))
        if is_last or videos != self._written:
            self._written = videos
            self._write(runner, num_samples, num_replaced)
        if num_replaced >= self.min_failed and num_replaced > self.max_failed_share * num_samples:
            self._stop(runner, num_samples, num_replaced)
        return num_samples, num_replaced

    def _write(self, runner, num_samples: int, num_replaced: int) -> None:
        if not is_main_process():
            return
        report = dict(
            num_samples=self._done[0] + num_samples,
            num_replaced=self._done[1] + num_replaced,
            videos=self._written,
        )
        text = json.dumps(report, indent=2, ensure_ascii=False)
        try:
            AtomicBackend().put_text(text, _report_of(runner))
        except OSError as error:  # if the disk is full, the next checkpoint ends the run
            runner.logger.warning(f'the report of broken videos was not written: {error}')

    def _stop(self, runner, num_samples: int, num_replaced: int) -> None:
        lines = (f'{v["path"]} ({v["times"]} times): {v["reason"]}' for v in self._written)
        message = (
            f'{num_replaced} of the {num_samples} samples since the epoch began could not be read, '
            f'more than max_failed_share={self.max_failed_share}. Repair these videos (or their '
            f'disk), or take them from the data; all are in {_report_of(runner)}:\n  '
        ) + some(lines, 10, '\n  ')
        runner.logger.error(message)
        raise BrokenDataError(message)


def add_to(videos: dict[str, dict], failed: dict) -> None:
    """Add the failures of a video to those known, by path; the latest reason is kept."""
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
