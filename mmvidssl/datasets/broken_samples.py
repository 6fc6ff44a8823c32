"""Base class of the data sets: reproducible samples, replacements for unreadable videos."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from time import sleep
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object, sync_random_seed
from mmengine.logging import MMLogger

from mmvidssl.utils.listing import some

from .clips import ClipIndex
from .readers import MAY_PASS, VideoError, check_is_local
from .transforms import build_transforms

# Each may take the decoding timeout (2 minutes), while the other ranks wait no longer than
# ``env_cfg.dist_cfg.timeout`` (30 minutes).
MAX_REPLACEMENTS = 10
RETRY_PAUSE = 5.0  # seconds before the second attempt: a disk may be back by then


class NoVideoLeftError(VideoError):
    """No sample was found that could replace one that cannot be read."""


class Quarantine:
    """Videos that one data-loading worker no longer reads, because they failed repeatedly.

    Args:
        after: Failed samples in a row after which a video is quarantined.

    Attributes:
        reasons: Last error of each quarantined video, by its number.
    """

    def __init__(self, after: int) -> None:
        if after < 1:
            raise ValueError(f'quarantine_after must be at least 1 sample or None, got {after}')
        self.after = after
        self.reasons: dict[int, str] = {}
        self._in_a_row: dict[int, int] = {}

    def note_success(self, video: int) -> None:
        """Record that a sample of a video was read: its failures count from 0 again."""
        self._in_a_row.pop(video, None)

    def note_failure(self, video: int, reason: str) -> bool:
        """Record that a sample of a video failed; returns whether this quarantines the video."""
        self._in_a_row[video] = self._in_a_row.get(video, 0) + 1
        if self._in_a_row[video] < self.after:
            return False
        self.reasons[video] = reason
        return True

    def draw(self, ends: np.ndarray, rng: np.random.Generator) -> int | None:
        """Draw a sample uniformly from the videos not in quarantine; None if all are.

        Args:
            ends: See :meth:`FaultTolerantDataset.video_ends`.
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


class FaultTolerantDataset(BaseDataset):
    """Base class of the data sets: reproducible samples, replacements for unreadable videos.

    ``dataset[i]`` takes its randomness from the worker's torch generator (draw 0 in ``test_mode``);
    ``dataset[ClipIndex(i, draw)]``, which :class:`ClipSampler` yields, is the same sample in every
    worker, rank and order.

    Where a video raises :class:`VideoError`, another sample replaces it, drawn by the seed and the
    requested index and draw: the same one in all workers that have the same videos in quarantine.
    Errors that may be temporary (``MAY_PASS``: a missing file, a failing disk, a decoder that died)
    first get a second attempt, after ``RETRY_PAUSE``. For the quarantine, a requested sample with
    all its replacements counts at most once per video. Other errors are bugs, and raised. In
    ``test_mode`` nothing is replaced, which would falsify scores.

    If an attempt failed, the pipeline receives ``decode_failures``: see :class:`VidSSLDataSample`.

    Args:
        ann_file: Text file that lists the files, relative to the folder in ``data_prefix``.
        data_root: Folder that ``ann_file`` and ``data_prefix`` are relative to.
        data_prefix: ``dict(video=folder)``, for images ``dict(img=folder)``: where the files are.
        pipeline: Transforms, or their configs.
        test_mode: Whether plain indices always give draw 0, and unreadable videos raise.
        seed: Seed of all randomness in samples; ``None`` takes one that all ranks share, which
            follows the runner's seed.
        quarantine_after: Failed samples in a row after which a worker stops reading a video;
            ``None`` replaces no sample, and raises.
        on_bad: What to do with files found to be bad when the data set is built: 'error' lists
            them in one error, 'skip' leaves them out with a warning.
        **kwargs: As :class:`mmengine.dataset.BaseDataset` takes: ``metainfo``, ``lazy_init``, ...
    """

    PREFIX_KEY = 'video'
    REMOVED = dict(max_retries='what may pass is tried once more, all else is replaced at once')

    def __init__(
        self,
        ann_file: str = '',
        data_root: str = '',
        data_prefix: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        seed: int | None = None,
        quarantine_after: int | None = 3,
        on_bad: str = 'error',
        **kwargs: Any,
    ) -> None:
        if on_bad not in ('error', 'skip'):
            raise ValueError(f"on_bad must be 'error' or 'skip', got {on_bad!r}")
        data_prefix = {self.PREFIX_KEY: ''} if data_prefix is None else dict(data_prefix)
        if set(data_prefix) != {self.PREFIX_KEY}:
            raise ValueError(
                f'data_prefix must be dict({self.PREFIX_KEY}=folder), got {data_prefix}'
            )
        for place in filter(None, (ann_file, data_root, data_prefix[self.PREFIX_KEY])):
            check_is_local(place)
        self.on_bad = on_bad
        self.seed = sync_random_seed() if seed is None else seed
        self.quarantine = None if quarantine_after is None else Quarantine(quarantine_after)
        super().__init__(
            ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=build_transforms(pipeline),
            test_mode=test_mode,
            max_refetch=0,
            **kwargs,
        )

    def leave_out(self, bad: dict[str, str], paths: Sequence[str]) -> dict[str, str]:
        """Merge the bad files of all ranks, for ``on_bad='skip'``: all leave out the same ones.

        Otherwise sample numbers would differ between ranks. This is a collective operation, so
        every rank must build the data set.

        Args:
            bad: Reasons by path, as this rank found them.
            paths: Paths of all files.

        Raises:
            VideoError: no file is left.
        """
        bad = {path: why for part in all_gather_object(bad) for path, why in part.items()}
        if bad:
            what = f'{len(bad)} of {len(set(paths))} files are left out'
            what = f'{what}\n  {_shown(bad)}'
            if bad.keys() >= set(paths):
                raise VideoError(f'no file is left: {what}')
            MMLogger.get_current_instance().warning(what)
        return bad

    @abstractmethod
    def video_ends(self) -> np.ndarray:
        """Cumulative number of samples up to the end of each video, int64 ``(num_videos,)``."""

    def video_of(self, index: int) -> int:
        """Number of the video that a sample belongs to."""
        return int(np.searchsorted(self.video_ends(), index, side='right'))

    @abstractmethod
    def path_of(self, video: int) -> str:
        """Path of a video, by its number."""

    def locate(self, idx: int | ClipIndex) -> ClipIndex:
        """Resolve what ``dataset[idx]`` was given to a non-negative index and a draw."""
        if isinstance(idx, ClipIndex):
            index, draw = idx
        else:
            index, draw = int(idx), 0 if self.test_mode else int(torch.randint(2**31, ()))
        if not -len(self) <= index < len(self):
            raise IndexError(f'sample {index} does not exist: there are {len(self)} samples')
        return ClipIndex(index % len(self), draw)

    def rng_of(self, index: int, draw: int) -> np.random.Generator:
        """Random generator of a sample, seeded with the seed, its index and its draw."""
        return np.random.default_rng([self.seed, index, draw])

    def prepare_data(self, idx: int | ClipIndex) -> Any:
        """Run the pipeline on a sample, or on a replacement where its video cannot be read.

        Raises:
            NoVideoLeftError: no replacement can be read either; lists what failed.
            VideoError: the video cannot be read, in ``test_mode`` or without a quarantine.
        """
        asked = now = self.locate(idx)
        if self.test_mode or self.quarantine is None:
            return self._read(now, [])
        failures: list[dict] = []
        for replacement in range(1, MAX_REPLACEMENTS + 2):
            video = self.video_of(now.index)
            if video in self.quarantine.reasons:
                reason = self.quarantine.reasons[video]
                failures.append(self._failure(video, reason, is_quarantined=True))
            else:
                try:
                    sample = self._read(now, failures)
                except VideoError as error:
                    self._note_failure(video, error, failures)
                else:
                    self.quarantine.note_success(video)
                    return sample
            rng = np.random.default_rng([self.seed, *asked, replacement])
            index = self.quarantine.draw(self.video_ends(), rng)
            if index is None:
                break
            now = ClipIndex(index, int(rng.integers(2**31)))
        raise NoVideoLeftError(self._describe_end(failures))

    def _read(self, now: ClipIndex, failures: list[dict]) -> Any:
        """Run the pipeline; errors that may be temporary get a second attempt."""
        try:
            return self._run_pipeline(now, failures)
        except MAY_PASS as error:
            sleep(RETRY_PAUSE)
            failed = self._failure(self.video_of(now.index), reason_of(error), is_replaced=False)
            return self._run_pipeline(now, [*failures, failed])

    def _run_pipeline(self, now: ClipIndex, failures: list[dict]) -> Any:
        info = self.get_data_info(now)
        if failures:
            info['decode_failures'] = list(failures)
        return self.pipeline(info)

    def _note_failure(self, video: int, error: VideoError, failures: list[dict]) -> None:
        """Append to the ``failures`` of one sample; the first one of each video counts."""
        assert self.quarantine is not None
        path, reason = self.path_of(video), reason_of(error)
        is_first = all(failure['path'] != path for failure in failures)
        is_last = is_first and self.quarantine.note_failure(video, reason)
        if is_last:
            MMLogger.get_current_instance().warning(
                f'{path} is read no more by this worker, after {self.quarantine.after} failures '
                f'in a row; the last: {reason}'
            )
        failures.append(self._failure(video, reason, is_quarantined=is_last))

    def _failure(
        self, video: int, reason: str, is_replaced: bool = True, is_quarantined: bool = False
    ) -> dict:
        return dict(
            path=self.path_of(video),
            reason=reason,
            replaced=is_replaced,
            quarantined=is_quarantined,
        )

    def _describe_end(self, failures: list[dict]) -> str:
        assert self.quarantine is not None
        reasons = {failure['path']: failure['reason'] for failure in failures}
        reasons |= {self.path_of(video): why for video, why in self.quarantine.reasons.items()}
        what = f'{len(reasons)} of {len(self.video_ends())} videos fail'
        return f'no sample can be read, nor one in its place: {what}\n  {_shown(reasons)}'


def _shown(reasons: dict[str, str]) -> str:
    """The first ten reasons, each on a line with its path."""
    return some((f'{path}: {why}' for path, why in reasons.items()), 10, '\n  ')


def reason_of(error: VideoError) -> str:
    return f'{type(error).__name__}: {error}'
