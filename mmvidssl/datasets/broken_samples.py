"""Base of the data sets: a sample for each index and draw, and another where it is broken."""

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

# Each may take until the deadline of decoding (2 minutes), while other processes wait for
# ``env_cfg.dist_cfg.timeout`` (30 minutes).
MAX_REPLACEMENTS = 10
RETRY_PAUSE = 5.0  # seconds, in which a disk may come back


class NoVideoLeftError(VideoError):
    """There is nothing to take in the place of a sample that cannot be read."""


class Quarantine:
    """The videos that one worker reads no more.

    Args:
        after: A video is put here when its last so many samples all failed.

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
        """A sample of a video failed; whether the video goes into quarantine."""
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


class FaultTolerantDataset(BaseDataset):
    """Base of the data sets: samples are functions of index and draw, broken ones are replaced.

    ``dataset[i]`` takes its randomness from torch's generator of the worker (draw 0 in
    ``test_mode``); ``dataset[ClipIndex(i, draw)]``, which :class:`ClipSampler` yields, is the same
    sample in whatever worker, rank or order.

    Where a video raises :class:`VideoError`, another sample is drawn from the seed, the index and
    the draw asked for: the same one in whatever worker, as long as that has the same videos in
    quarantine. What may pass (``MAY_PASS``: a file that is away, a disk, a decoder that died) is
    tried once more before, after ``RETRY_PAUSE``. For the quarantine a sample counts once, with all
    that was drawn in its place. All other errors are mistakes, and raised. In ``test_mode`` nothing
    is replaced: scores would lie.

    The pipeline receives ``decode_failures`` (see :class:`VidSSLDataSample`) where there are some.

    Args:
        ann_file: A list of files, relative to the folder in ``data_prefix``.
        data_root: Root of ``ann_file`` and ``data_prefix``.
        data_prefix: Folder of the files, relative to ``data_root``.
        pipeline: Transforms.
        test_mode: Whether plain indices always give draw 0.
        seed: Seed of the augmentations; ``None`` takes a common one from all ranks, which follows
            the runner's seed.
        quarantine_after: A worker reads a video no more when its last so many samples all failed;
            ``None`` replaces no sample, and raises.
        on_bad: What is done with files that are known to be bad when the data set is built:
            'error' refuses them all in one error, 'skip' goes on with the rest and warns.
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
        """What to go on without, for ``on_bad='skip'``: what is bad in any process of the run.

        Samples of a process that left out other files than the rest would have other numbers. All
        processes wait for each other here, so that all have to build the data set.

        Args:
            bad: Why, by path.
            paths: Of all files.

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
        """Number of samples up to the end of each video, int64 ``(num_videos,)``."""

    def video_of(self, index: int) -> int:
        """Number of the video that a sample is of."""
        return int(np.searchsorted(self.video_ends(), index, side='right'))

    @abstractmethod
    def path_of(self, video: int) -> str:
        """Path of a video, by its number."""

    def locate(self, idx: int | ClipIndex) -> ClipIndex:
        """Index (not negative) and draw of a sample that was asked for."""
        if isinstance(idx, ClipIndex):
            index, draw = idx
        else:
            index, draw = int(idx), 0 if self.test_mode else int(torch.randint(2**31, ()))
        if not -len(self) <= index < len(self):
            raise IndexError(f'sample {index} asked of a data set of {len(self)} samples')
        return ClipIndex(index % len(self), draw)

    def rng_of(self, index: int, draw: int) -> np.random.Generator:
        """The generator of all that is random in a sample."""
        return np.random.default_rng([self.seed, index, draw])

    def prepare_data(self, idx: int | ClipIndex) -> Any:
        """A sample through the pipeline, or one in its place.

        Raises:
            NoVideoLeftError: lists what failed.
            VideoError: in ``test_mode``, or without a quarantine.
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
        """The sample; what may pass gets a second trial."""
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
        """Add to the ``failures`` of one sample, of which each video's first one counts."""
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
    """Lines with the first few reasons, by path."""
    return some((f'{path}: {why}' for path, why in reasons.items()), 10, '\n  ')


def reason_of(error: VideoError) -> str:
    return f'{type(error).__name__}: {error}'
