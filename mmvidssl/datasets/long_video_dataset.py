"""Clips of hours-long videos."""

import copy
import functools
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import force_full_init
from mmengine.dist import is_main_process, sync_random_seed
from mmengine.logging import MMLogger
from torch.utils.data import get_worker_info

from mmvidssl.registry import DATASETS

from .clip_groups import count_groups, group_starts
from .clip_index import ClipIndex
from .clip_timing import check_clip_timing, clip_frame_inds, count_clip_starts, max_clip_len
from .quarantine import ReplacesBroken
from .readers import Readers, VideoInfo, build_readers, is_proxy, probe_video
from .transforms import DecodeClip, SplitClips, build_transforms

# From here on decoding takes seconds a clip.
SLOW_SHORT_SIDE = 1440
PROXY_FPS = 4.0


@DATASETS.register_module()
class LongVideoDataset(ReplacesBroken):
    """One sample per clip start of one or many long videos.

    ``len(dataset)`` is the number of valid starts over all videos, so a video weighs by its
    duration; a clip never runs past its video. ``dataset[i]`` takes its randomness from torch's
    generator of the worker (draw 0 in ``test_mode``); ``dataset[ClipIndex(i, draw)]``, which
    :class:`ClipSampler` yields, is the same sample in whatever worker, rank or order.

    Every file is opened and its first and last frame decoded when the data set is built; one that
    cannot be read then is an error, one that fails later is replaced (:class:`ReplacesBroken`). A
    proxy (``tools/datasets/make_proxy.py``) takes the place of a video by its name, whatever
    ``reader`` says; its frames are fewer, so ``interval_unit='frames'`` and ``start_stride`` count
    others.

    The pipeline receives ``video_path`` (str), ``video_index`` (int), ``frame_inds`` (int64
    ``(clip_len,)``), ``fps`` (float), ``video_stamp`` (:class:`FileStamp`), ``reader`` (config) and
    ``rng`` (``np.random.Generator`` seeded with seed, index and draw).

    Args:
        ann_file: Text file with one video a line, relative to ``data_prefix['video']``.
        videos: The videos themselves, instead of ``ann_file``.
        data_root: Root of ``ann_file`` and ``data_prefix``.
        data_prefix: Folder of the videos, relative to ``data_root``.
        clip_len: Frames of a clip.
        frame_interval: Distance between neighbouring frames of a clip.
        interval_unit: 'seconds' (nearest frame in time, right for any frame rate) or 'frames'.
        start_stride: A clip may start at every ``start_stride``-th frame.
        clips_per_seek: Above 1, an item is a group of so many clips of one video, decoded together
            and returned as a list of samples; the data loader needs :func:`flat_collate`. Each is
            the sample it would be alone. Every start is in one group, but for fewer than
            ``clips_per_seek`` at the end of a video. Requires a pipeline that begins with
            :class:`DecodeClip`. docs/en/sampling.md says what it does to batches.
        clip_spacing: Seconds between the starts of a group, rounded to whole starts at the average
            frame rate; ``None`` interleaves its clips evenly: ``frame_interval / clips_per_seek``.
        reader: Config of the video reader.
        seed: Seed of the augmentations; ``None`` takes a common one from all ranks, which follows
            the runner's seed.
        pipeline: Transforms.
        test_mode: Whether plain indices always give draw 0.
        lazy_init: Whether to leave the files alone until first use.
        timeout: Seconds until the answer to each request must be there while the data set is built
            (:class:`GuardedReaders`; a video takes a handful: opening it, decoding two frames, its
            times). The first time, all of a video is read (:func:`load_index`). ``None`` for no
            deadline. Decoding has its own, see :class:`DecodeClip`.
        max_retries: How often a sample is tried again whose video raises :class:`VideoError`,
            before another one takes its place.
        quarantine_after: A worker reads a video no more when its last so many samples all failed;
            ``None`` replaces no sample, and raises.
        metainfo: See :class:`mmengine.dataset.BaseDataset`.

    Raises:
        ValueError: impossible settings, or a video shorter than a clip.
        VideoError: a missing, empty or broken file.
    """

    def __init__(
        self,
        ann_file: str = '',
        videos: Sequence[str] | None = None,
        data_root: str = '',
        data_prefix: dict | None = None,
        clip_len: int = 8,
        frame_interval: float = 1.0,
        interval_unit: str = 'seconds',
        start_stride: int = 1,
        clips_per_seek: int = 1,
        clip_spacing: float | None = None,
        reader: dict | None = None,
        seed: int | None = None,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        metainfo: dict | None = None,
        timeout: float | None = 1800.0,
        max_retries: int = 1,
        quarantine_after: int | None = 3,
    ) -> None:
        check_clip_timing(clip_len, frame_interval, interval_unit)
        if start_stride < 1:
            raise ValueError(f'start_stride must be at least 1 frame, got {start_stride}')
        if clips_per_seek < 1:
            raise ValueError(f'clips_per_seek must be at least 1, got {clips_per_seek}')
        if clip_spacing is not None and (clip_spacing <= 0 or clips_per_seek == 1):
            raise ValueError(
                'clip_spacing must be a positive number of seconds and needs clips_per_seek above '
                f'1, got clip_spacing={clip_spacing} and clips_per_seek={clips_per_seek}'
            )
        self.clips_per_seek = clips_per_seek
        self.clip_spacing = clip_spacing
        self.videos = videos
        self.start_stride = start_stride
        self.reader = dict(type='PyAVReader') if reader is None else copy.deepcopy(reader)
        self.seed = sync_random_seed() if seed is None else seed
        self.timeout = timeout
        self._timing = (clip_len, frame_interval, interval_unit)
        self.set_replacing(max_retries, quarantine_after)
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(video='') if data_prefix is None else data_prefix,
            serialize_data=False,
            pipeline=_build_pipeline(pipeline, clips_per_seek),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=0,
        )

    def list_videos(self) -> list[str]:
        """Paths of the videos, joined with the prefix."""
        if (self.videos is None) == (not self.ann_file):
            raise ValueError(
                f'give either ann_file or videos, got ann_file={self.ann_file!r} and '
                f'videos={self.videos!r}'
            )
        names = self.videos
        if names is None:
            if not Path(self.ann_file).is_file():
                raise FileNotFoundError(f'no such ann_file (a video path a line): {self.ann_file}')
            lines = Path(self.ann_file).read_text(encoding='utf-8').splitlines()
            names = [line.strip() for line in lines if line.strip()]
        if not names:
            raise ValueError(f'no video is listed in {self.ann_file or "videos"}')
        return [str(Path(self.data_prefix['video']) / name) for name in names]

    def load_data_list(self) -> list[dict]:
        """One entry per video: ``info`` (:class:`VideoInfo`) and ``num_clips``."""
        readers = build_readers(max_open=1, timeout=self.timeout)
        try:
            videos = [self._load_video(path, readers) for path in self.list_videos()]
        finally:
            readers.close()
        _advise_on_proxies([video['info'] for video in videos], *self._timing)
        return videos

    def _load_video(self, path: str, readers: Readers) -> dict:
        info = probe_video(path, self.reader, readers)
        num_starts = count_clip_starts(info.timestamps, *self._timing)
        if num_starts == 0:
            clip_len, frame_interval, unit = self._timing
            longest = max_clip_len(info.timestamps, frame_interval, unit)
            raise ValueError(
                f'{path} lasts {info.duration:.2f} s ({len(info.timestamps)} frames), too short '
                f'for a clip of {clip_len} frames {frame_interval} {unit} apart; the longest that '
                f'fits has clip_len={longest}'
            )
        num_clips = -(-num_starts // self.start_stride)
        if num_clips < self.clips_per_seek:
            raise ValueError(
                f'{path} has {num_clips} clip starts, fewer than '
                f'clips_per_seek={self.clips_per_seek}; ask for fewer, or for a smaller '
                f'start_stride (now {self.start_stride})'
            )
        return dict(info=info, num_clips=num_clips)

    def full_init(self) -> None:
        """Probe the videos."""
        if not self._fully_initialized:
            super().full_init()
            counts = [video['num_clips'] for video in self.data_list]
            self._first_clips = np.cumsum([0, *counts])
            self._ends = np.cumsum([count_groups(count, self.clips_per_seek) for count in counts])

    @force_full_init
    def __len__(self) -> int:
        """Number of clips over all videos, or of groups of ``clips_per_seek`` clips."""
        return int(self._ends[-1])

    @force_full_init
    def locate(self, idx: int | ClipIndex) -> ClipIndex:
        """Index (not negative) and draw of a clip."""
        index, draw = idx if isinstance(idx, ClipIndex) else (int(idx), self._own_draw())
        if not -len(self) <= index < len(self):
            raise IndexError(f'clip {index} asked of a data set of {len(self)} clips')
        return ClipIndex(index % len(self), draw)

    def video_ends(self) -> np.ndarray:
        """Number of samples up to the end of each video, int64 ``(num_videos,)``."""
        return self._ends

    def path_of(self, video: int) -> str:
        """Path of a video, by its number."""
        return self.data_list[video]['info'].path

    def get_data_info(self, idx: int | ClipIndex) -> dict:
        """What the pipeline starts from."""
        index, draw = self.locate(idx)
        video_index = self.video_of(index)
        place = index - int(self._ends[video_index - 1] if video_index else 0)
        info = self.data_list[video_index]['info']
        common = dict(
            video_path=info.path,
            video_index=video_index,
            fps=info.fps,
            video_stamp=info.stamp,
            reader=self.reader,
        )
        if self.clips_per_seek == 1:
            return dict(common, **self._clip(video_index, place, draw))
        clips = [self._clip(video_index, clip, draw) for clip in self._group(video_index, place)]
        frame_inds = np.unique(np.concatenate([clip['frame_inds'] for clip in clips]))
        return dict(common, frame_inds=frame_inds, clips=clips)

    def _clip(self, video_index: int, clip: int, draw: int) -> dict:
        """Frames and generator of a clip: the same, alone or in a group."""
        timestamps = self.data_list[video_index]['info'].timestamps
        number = int(self._first_clips[video_index]) + clip
        return dict(
            frame_inds=clip_frame_inds(timestamps, clip * self.start_stride, *self._timing),
            rng=np.random.default_rng([self.seed, number, draw]),
        )

    def _group(self, video_index: int, group: int) -> list[int]:
        """Clip numbers of a group within its video."""
        video = self.data_list[video_index]
        seconds = self.clip_spacing
        if seconds is None:
            _, frame_interval, unit = self._timing
            interval = frame_interval if unit == 'seconds' else frame_interval / video['info'].fps
            seconds = interval / self.clips_per_seek
        spacing = max(1, round(seconds * video['info'].fps / self.start_stride))
        return group_starts(group, video['num_clips'], self.clips_per_seek, spacing).tolist()

    @force_full_init
    def fingerprint(self) -> dict:
        """What gives a sample number its meaning, as plain data.

        A run that goes on in the middle of its data compares it with the one it was stopped with.
        Folders may change, so videos count by file name.
        """
        return dict(
            videos=[[Path(v['info'].path).name, v['num_clips']] for v in self.data_list],
            clip_timing=list(self._timing),
            start_stride=self.start_stride,
            clips_per_seek=self.clips_per_seek,
            clip_spacing=self.clip_spacing,
        )

    def _own_draw(self) -> int:
        return 0 if self.test_mode else int(torch.randint(2**31, ()))

    def get_subset(self, indices: int | Sequence[int]) -> 'LongVideoDataset':
        """Not offered: MMEngine's would cut the list of videos, not the clips."""
        raise NotImplementedError(
            'list fewer videos, or shorten the epoch with ClipSampler(num_samples_per_epoch=...)'
        )

    get_subset_ = get_subset


def _build_pipeline(pipeline: Sequence[dict | Callable], clips_per_seek: int) -> list[Callable]:
    transforms = build_transforms(pipeline)
    if clips_per_seek == 1:
        return transforms
    if not transforms or not isinstance(transforms[0], DecodeClip):
        first = type(transforms[0]).__name__ if transforms else 'nothing'
        raise ValueError(
            f'clips_per_seek={clips_per_seek} requires a pipeline that begins with DecodeClip, '
            f'whose frames are then split into clips; this one begins with {first}'
        )
    return [transforms[0], SplitClips(transforms[1:])]


def _advise_on_proxies(
    videos: Sequence[VideoInfo], clip_len: int, frame_interval: float, interval_unit: str
) -> None:
    """Log how to make proxies of large videos, and how far apart frames counted in proxies are.

    Each message once a process, and only in the main one.
    """
    if not is_main_process() or get_worker_info() is not None:
        return
    large = [video for video in videos if video.short_side >= SLOW_SHORT_SIDE]
    large = [video for video in large if not is_proxy(video.path)]
    if large:
        seconds = frame_interval / (large[0].fps if interval_unit == 'frames' else 1)
        files = ' '.join(shlex.quote(video.path) for video in large)
        folder = Path(large[0].path).absolute().parent
        _warn_once(
            f'{large[0].path} has frames of {large[0].short_side} lines or columns, which take '
            'seconds a clip to decode; from proxies, made once, it is milliseconds '
            '(docs/en/proxies.md). Make them, and give them to the data set in place of the '
            f'videos: python tools/datasets/make_proxy.py {files} --short-side 720 --fps '
            f'{max(PROXY_FPS, 1 / seconds):g} --out {shlex.quote(f"{folder}_proxy")}'
        )
    proxy = next((video for video in videos if is_proxy(video.path)), None)
    if proxy and interval_unit == 'frames' and clip_len > 1:
        _warn_once(
            f"interval_unit='frames' counts the frames of the proxy, and {proxy.path} has "
            f"{proxy.fps:.3g} of them a second: a clip's frames are "
            f"{frame_interval / proxy.fps:.3g} s apart. interval_unit='seconds' means the same "
            'for videos and proxies.'
        )


@functools.cache
def _warn_once(message: str) -> None:
    MMLogger.get_current_instance().warning(message)
