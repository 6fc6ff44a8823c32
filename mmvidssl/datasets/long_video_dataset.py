"""Data set of clips from hours-long videos."""

import copy
import functools
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import force_full_init
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from torch.utils.data import get_worker_info

from mmvidssl.registry import DATASETS
from mmvidssl.utils.progress import progress

from .broken_samples import FaultTolerantDataset, reason_of
from .clips import ClipIndex, check_clip_timing, clip_frame_inds, count_clip_starts, max_clip_len
from .list_files import read_file_list
from .readers import (
    DecodeTimeoutError,
    Readers,
    ShortVideoError,
    VideoError,
    VideoInfo,
    build_readers,
    is_proxy,
    probe_video,
)

IN_PLACE_OF_GROUPS = (
    'decode from proxies instead (tools/datasets/make_proxy.py, docs/en/howto/proxies.md), where a '
    'clip costs no frames but its own'
)

# Pixels of the short side from which decoding takes seconds per clip.
SLOW_SHORT_SIDE = 1440
PROXY_FPS = 4.0


@DATASETS.register_module()
class LongVideoDataset(FaultTolerantDataset):
    """One sample per clip start of one or many long videos.

    ``len(dataset)`` is the number of clip starts over all videos, so that long videos are sampled
    more often; a clip never runs past the end of its video.

    Building the data set opens every file and decodes its first and last frame. Files that cannot
    be read, or are too short, are listed in one error (or left out, see ``on_bad``); samples that
    fail later are replaced (:class:`FaultTolerantDataset`). A proxy (made by
    ``tools/datasets/make_proxy.py``) may stand in for a video: it is known by its suffix, and read
    by :class:`ProxyReader`. ``interval_unit='frames'`` and ``start_stride`` count its own frames.

    The pipeline receives ``video_path`` (str), ``video_index`` (int), ``frame_inds`` (int64
    ``(clip_len,)``), ``fps`` (float), ``video_stamp`` (:class:`FileStamp`), ``reader`` (config) and
    ``rng`` (``np.random.Generator`` seeded with seed, index and draw).

    Args:
        videos: Paths of the videos, instead of ``ann_file``, a text file with one path a line.
        clip_len: Frames of a clip.
        frame_interval: Distance between neighbouring frames of a clip, in ``interval_unit``.
        interval_unit: 'seconds' (nearest frame in time, right for any frame rate) or 'frames'.
        start_stride: A clip may start at every ``start_stride``-th frame.
        reader: Config of the video reader.
        timeout: Seconds that each request to a video (opening it, decoding a frame, its timestamps)
            may take while the data set is built (:class:`GuardedReaders`); ``None`` for no limit.
            The first opening reads the whole file (:func:`load_index`). In training, the timeout of
            :class:`DecodeClip` applies.
        **kwargs: See :class:`FaultTolerantDataset`; ``on_bad`` applies to videos that cannot be
            read, or are shorter than a clip.

    Raises:
        ValueError: impossible settings.
        VideoError: lists all files that are missing, empty, broken or shorter than a clip. If all
            fail alike, it is of their class, such as :class:`ShortVideoError` (a ``ValueError``).
    """

    REMOVED = dict(clips_per_seek=IN_PLACE_OF_GROUPS, clip_spacing=IN_PLACE_OF_GROUPS)

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
        reader: dict | None = None,
        timeout: float | None = 1800.0,
        **kwargs: Any,
    ) -> None:
        check_clip_timing(clip_len, frame_interval, interval_unit)
        if start_stride < 1:
            raise ValueError(f'start_stride must be at least 1 frame, got {start_stride}')
        self.videos = videos
        self.start_stride = start_stride
        self.reader = dict(type='PyAVReader') if reader is None else copy.deepcopy(reader)
        self.timeout = timeout
        self._timing = (clip_len, frame_interval, interval_unit)
        fixed: Any = dict(serialize_data=False, indices=None)  # these would be of videos
        super().__init__(ann_file, data_root, data_prefix, **fixed, **kwargs)

    def list_videos(self) -> list[str]:
        """Paths of the videos, joined with the prefix."""
        if (self.videos is None) == (not self.ann_file):
            raise ValueError(
                f'give either ann_file or videos, got ann_file={self.ann_file!r} and '
                f'videos={self.videos!r}'
            )
        names = self.videos
        if names is None:
            names = [file.path for file in read_file_list(self.ann_file)]
        if not names:
            raise ValueError(f'no video is listed in {self.ann_file or "videos"}')
        return [str(Path(self.data_prefix['video']) / name) for name in names]

    def load_data_list(self) -> list[dict]:
        """One entry per video: ``info`` (:class:`VideoInfo`) and ``num_clips``."""
        paths = self.list_videos()
        videos: list[dict] = []
        errors: dict[str, VideoError] = {}
        readers = build_readers(max_open=1, timeout=self.timeout)
        try:
            for path in progress(paths, 'looking into videos'):
                try:
                    videos.append(self._load_video(path, readers))
                except VideoError as error:
                    errors[path] = error
                    if isinstance(error, DecodeTimeoutError) and self.on_bad == 'error':
                        break  # on a disk that hangs, every file would time out
        finally:
            readers.close()
        if self.on_bad == 'skip':
            bad = self.leave_out({path: reason_of(why) for path, why in errors.items()}, paths)
            videos = [video for video in videos if video['info'].path not in bad]
        elif errors:
            raise _common_kind(errors.values())(
                f'{len(errors)} of {len(paths)} videos cannot be used; take them from the list, or '
                "leave them out with on_bad='skip':"
                + ''.join(f'\n  {error}' for error in errors.values())
            )
        _advise_on_proxies([video['info'] for video in videos], *self._timing)
        return videos

    def _load_video(self, path: str, readers: Readers) -> dict:
        info = probe_video(path, self.reader, readers)
        num_starts = count_clip_starts(info.timestamps, *self._timing)
        if num_starts == 0:
            clip_len, frame_interval, unit = self._timing
            longest = max_clip_len(info.timestamps, frame_interval, unit)
            raise ShortVideoError(
                f'{path} lasts {info.duration:.2f} s ({len(info.timestamps)} frames), too short '
                f'for a clip of {clip_len} frames {frame_interval} {unit} apart; the longest that '
                f'fits has clip_len={longest}'
            )
        return dict(info=info, num_clips=-(-num_starts // self.start_stride))

    def full_init(self) -> None:
        """Probe all videos and count their clips."""
        if not self._fully_initialized:
            super().full_init()
            self._ends = np.cumsum([video['num_clips'] for video in self.data_list])

    @force_full_init
    def __len__(self) -> int:
        """Number of clips over all videos."""
        return int(self._ends[-1])

    def video_ends(self) -> np.ndarray:
        """See :class:`FaultTolerantDataset`."""
        return self._ends

    def path_of(self, video: int) -> str:
        """Path of a video, by its number."""
        return self.data_list[video]['info'].path

    def get_data_info(self, idx: int | ClipIndex) -> dict:
        """The dict that the pipeline starts from; the class lists its keys."""
        index, draw = self.locate(idx)
        video_index = self.video_of(index)
        clip = index - int(self._ends[video_index - 1] if video_index else 0)
        info = self.data_list[video_index]['info']
        start = clip * self.start_stride
        return dict(
            video_path=info.path,
            video_index=video_index,
            frame_inds=clip_frame_inds(info.timestamps, start, *self._timing),
            fps=info.fps,
            video_stamp=info.stamp,
            reader=self.reader,
            rng=self.rng_of(index, draw),
        )

    @force_full_init
    def fingerprint(self) -> dict:
        """Plain data that identifies which clip each sample number stands for.

        A run that resumes in the middle of its data compares it with that of the stopped run.
        Folders may change, so videos are compared by file name.
        """
        return dict(
            videos=[[Path(v['info'].path).name, v['num_clips']] for v in self.data_list],
            clip_timing=list(self._timing),
            start_stride=self.start_stride,
        )

    def get_subset(self, indices: int | Sequence[int]) -> 'LongVideoDataset':
        """Not supported: MMEngine's version would take a subset of the videos, not of the clips."""
        raise NotImplementedError(
            'list fewer videos, or shorten the epoch with ClipSampler(num_samples_per_epoch=...)'
        )

    get_subset_ = get_subset


def _common_kind(errors: Iterable[VideoError]) -> type[VideoError]:
    kinds = {type(error) for error in errors}
    return kinds.pop() if len(kinds) == 1 else VideoError


def _advise_on_proxies(
    videos: Sequence[VideoInfo], clip_len: int, frame_interval: float, interval_unit: str
) -> None:
    """Warn of large videos, which need proxies, and of intervals counted in a proxy's frames.

    Each message is logged once, by the main process.
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
            '(docs/en/howto/proxies.md). Make them, and give them to the data set in place of the '
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
