"""Samples in the place of those that cannot be read."""

from abc import abstractmethod
from time import sleep
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger

from .clip_index import ClipIndex
from .readers import MAY_PASS, DecodeTimeoutError, VideoError

MAX_REPLACEMENTS = 10
# Deadlines that one sample may run into. Other processes wait meanwhile, and give up after
# ``env_cfg.dist_cfg.timeout``.
MAX_TIMEOUTS = 2
# Seconds before the next draw in the place of a sample, once two in a row met with errors that may
# pass: a disk is away, not a file. Other processes wait meanwhile.
PAUSES = (1.0, 5.0, 20.0)
NUM_SHOWN = 10


class NoVideoLeftError(VideoError):
    """There is nothing to take in the place of a sample that cannot be read."""


class Quarantine:
    """Which videos one worker reads no more.

    Args:
        after: A video goes there when its last so many samples all failed.

    Attributes:
        reasons: Why, by the number of the video.
    """

    def __init__(self, after: int) -> None:
        if after < 1:
            raise ValueError(f'quarantine_after must be at least 1 sample or None, got {after}')
        self.after = after
        self.reasons: dict[int, str] = {}
        self._in_a_row: dict[int, int] = {}

    def note_success(self, video: int) -> None:
        """A sample of a video was read."""
        self._in_a_row.pop(video, None)

    def note_failure(self, video: int, reason: str) -> bool:
        """A sample of a video failed for good; whether the video goes into quarantine."""
        self._in_a_row[video] = self._in_a_row.get(video, 0) + 1
        if self._in_a_row[video] < self.after:
            return False
        self.reasons[video] = reason
        return True

    def draw(self, ends: np.ndarray, rng: np.random.Generator) -> int | None:
        """A sample of the videos that are not in quarantine, each as likely; None without any.

        Args:
            ends: Number of samples up to the end of each video, int64 ``(num_videos,)``.
            rng: Random generator.
        """
        sizes = np.diff(ends, prepend=0)
        sizes[list(self.reasons)] = 0
        left = sizes.cumsum()
        if left[-1] == 0:
            return None
        place = int(rng.integers(left[-1]))
        video = int(np.searchsorted(left, place, side='right'))
        return int(ends[video] - left[video]) + place


class ReplacesBroken(BaseDataset):
    """Base of data sets that go on when a video cannot be read.

    A sample whose video raises :class:`VideoError` is tried ``max_retries`` times more, unless it
    ran into the deadline: a disk that stalls does so again, and other processes wait. Then another
    one is drawn in its place, from the seed and the sample's own index and draw: the same one in
    whatever worker, as long as that has the same videos in quarantine. Where that, too, meets with
    an error that may pass (``MAY_PASS``), the next draws are made after ``PAUSES``. A second
    deadline ends it. For the quarantine, a video's failures count once a sample, with all that was
    drawn in its place. All other errors are mistakes, and raised. In ``test_mode`` nothing is
    replaced: scores would lie.

    The pipeline receives ``decode_failures`` (see :class:`VidSSLDataSample`) where there are some.
    """

    seed: int
    max_retries: int
    quarantine: Quarantine | None

    def set_replacing(self, max_retries: int, quarantine_after: int | None) -> None:
        """Set the options, before the base class is initialised.

        Args:
            max_retries: How often a sample is tried again.
            quarantine_after: See :class:`Quarantine`; None replaces nothing, and raises.
        """
        if max_retries < 0:
            raise ValueError(f'max_retries must not be negative, got {max_retries}')
        self.max_retries = max_retries
        self.quarantine = None if quarantine_after is None else Quarantine(quarantine_after)

    @abstractmethod
    def video_ends(self) -> np.ndarray:
        """Number of samples up to the end of each video, int64 ``(num_videos,)``."""

    def video_of(self, index: int) -> int:
        """Number of the video that a sample is of."""
        return int(np.searchsorted(self.video_ends(), index, side='right'))

    @abstractmethod
    def path_of(self, video: int) -> str:
        """Path of a video, by its number."""

    @abstractmethod
    def locate(self, idx: int | ClipIndex) -> ClipIndex:
        """Index (not negative) and draw of a sample that was asked for."""

    def prepare_data(self, idx: int | ClipIndex) -> Any:
        """A sample through the pipeline, or one in its place.

        Raises:
            NoVideoLeftError: lists what failed.
            VideoError: in ``test_mode``, or without a quarantine.
        """
        asked = now = self.locate(idx)
        if self.test_mode or self.quarantine is None:
            return self._try(now, [])
        failures: list[dict] = []
        failed: set[int] = set()
        pauses, num_timeouts, may_pass = list(PAUSES), 0, False
        for replacement in range(1, MAX_REPLACEMENTS + 2):
            video = self.video_of(now.index)
            if video in self.quarantine.reasons:
                reason = self.quarantine.reasons[video]
                failures.append(self._describe(video, reason, True, times=0))
            else:
                try:
                    sample = self._try(now, failures)
                except VideoError as error:
                    failures.append(self._note_failure(video, error, video not in failed))
                    failed.add(video)
                    num_timeouts += isinstance(error, DecodeTimeoutError)
                    if num_timeouts == MAX_TIMEOUTS:
                        break
                    had_passing, may_pass = may_pass, isinstance(error, MAY_PASS)
                    if had_passing and may_pass and pauses:
                        sleep(pauses.pop(0))
                else:
                    self.quarantine.note_success(video)
                    return sample
            rng = np.random.default_rng([self.seed, *asked, replacement])
            index = self.quarantine.draw(self.video_ends(), rng)
            if index is None:
                break
            now = ClipIndex(index, int(rng.integers(2**31)))
        raise NoVideoLeftError(self._describe_end(failures))

    def _try(self, now: ClipIndex, failures: list[dict]) -> Any:
        """The sample, at the last of so many trials."""
        failures = list(failures)
        for _ in range(self.max_retries):
            try:
                return self._run_pipeline(now, failures)
            except DecodeTimeoutError:
                raise
            except VideoError as error:
                video = self.video_of(now.index)
                failures.append(self._describe(video, _reason(error), False, is_replaced=False))
        return self._run_pipeline(now, failures)

    def _run_pipeline(self, now: ClipIndex, failures: list[dict]) -> Any:
        info = self.get_data_info(now)
        if failures:
            info['decode_failures'] = failures
        return self.pipeline(info)

    def _note_failure(self, video: int, error: VideoError, is_first: bool) -> dict:
        assert self.quarantine is not None
        is_last = is_first and self.quarantine.note_failure(video, _reason(error))
        if is_last:
            MMLogger.get_current_instance().warning(
                f'{self.path_of(video)} is read no more by this worker, after '
                f'{self.quarantine.after} failures in a row; the last: {_reason(error)}'
            )
        return self._describe(video, _reason(error), is_last)

    def _describe(
        self,
        video: int,
        reason: str,
        is_quarantined: bool,
        is_replaced: bool = True,
        times: int = 1,
    ) -> dict:
        return dict(
            path=self.path_of(video),
            reason=reason,
            replaced=is_replaced,
            quarantined=is_quarantined,
            times=times,
        )

    def _describe_end(self, failures: list[dict]) -> str:
        assert self.quarantine is not None
        reasons = {failure['path']: failure['reason'] for failure in failures}
        reasons |= {self.path_of(video): why for video, why in self.quarantine.reasons.items()}
        shown = [f'{path}: {why}' for path, why in list(reasons.items())[:NUM_SHOWN]]
        more = [f'and {len(reasons) - NUM_SHOWN} more'] if len(reasons) > NUM_SHOWN else []
        return '\n  '.join(
            [
                f'no sample can be read, nor one in its place: {len(reasons)} of '
                f'{len(self.video_ends())} videos fail',
                *shown,
                *more,
            ]
        )


def _reason(error: VideoError) -> str:
    return f'{type(error).__name__}: {error}'
