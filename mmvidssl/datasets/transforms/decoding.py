"""Transforms that sample and decode clips, and read images."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmvidssl.registry import TRANSFORMS

from ..clips import check_clip_timing, clip_frame_inds, count_clip_starts
from ..readers import DEFAULT_TIMEOUT, VideoReader, build_readers, read_image
from .base import generator_of

POSITIONS = ('random', 'center')


def _check_short_side(short_side: int | None) -> int | None:
    if short_side is not None and short_side < 1:
        raise ValueError(f'short_side must be at least 1 pixel or None, got {short_side}')
    return short_side


@TRANSFORMS.register_module()
class DecodeClip(BaseTransform):
    """Decode a clip, keeping videos open between samples.

    **Required Keys:** video_path, frame_inds, reader; video_stamp (:class:`FileStamp`) if the file
    must be the one whose frames were counted

    **Added Keys:** clip (uint8 RGB ``(T, H, W, 3)``)

    Args:
        short_side: Shrink frames whose shorter side is longer than this many pixels by area
            averaging; ``None`` keeps them as they are. It saves memory, and time where many crops
            follow; a single crop of whole 4K frames is faster without.
        max_open: How many videos a worker keeps open; the least recently used one is closed for
            another. Where samples are shuffled over more videos than that, nearly every sample
            opens one again: a tenth of a second with ``PyAVReader``, seconds with others. Each open
            4K video takes some 0.1 GB of each worker (gigabytes with ``DecordReader``).
        timeout: Seconds that a request to a video may take. Each worker decodes in a separate
            process, which is killed after that (:class:`GuardedReaders`); ``None`` decodes in the
            worker itself, which a damaged file may hang for good.

    Raises:
        ValueError: if an option is impossible.
    """

    REMOVED = dict(on_reopen='raise max_open where videos are opened again too often')

    def __init__(
        self,
        short_side: int | None = None,
        max_open: int = 4,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> None:
        self.short_side = _check_short_side(short_side)
        self.readers = build_readers(max_open, timeout)

    def transform(self, results: dict) -> dict:
        """Add ``results['clip']``."""
        stamp = results.get('video_stamp')
        reader = self.readers.get(results['video_path'], results['reader'], stamp)
        results['clip'] = reader.get_frames(results['frame_inds'], self.short_side)
        return results


@TRANSFORMS.register_module()
class SampleClip(BaseTransform):
    """Choose a clip of a video and decode it; for data sets of many short videos.

    The video is opened here and closed when the worker comes to another one. The clip's start is
    uniform over all frames from which it fits into the video. In a video too short for it, the clip
    is filled up with the last frame, as in PySlowFast.

    Differs from the reference: PySlowFast draws fractional starts; mmaction2 leaves
    ``frame_interval - 1`` frames of room after the clip, and repeats a short video from its start.

    **Required Keys:** video_path, reader

    **Added Keys:** clip (uint8 RGB ``(T, H, W, 3)``), frame_inds (int64 ``(T,)``), fps (float)

    Args:
        clip_len: Frames of a clip.
        frame_interval: Distance between neighbouring frames of a clip, in ``interval_unit``.
        interval_unit: 'frames', or 'seconds' (nearest frame in time, right for any frame rate).
        position: 'random', or 'center' for the clip in the middle.
        short_side: Shrink frames whose shorter side is longer than this many pixels by area
            averaging; ``None`` keeps them as they are.
        timeout: As in :class:`DecodeClip`.
        target_fps: Frame rate in which the clip's span, ``clip_len * frame_interval`` frames, is
            counted. Frames are spread evenly over it: for 16 x 4 they are 4.2 apart, or 8.5 in a
            video of twice the rate, as with PySlowFast's ``DATA.TARGET_FPS`` (30) and mmaction2's
            ``SampleFrames(target_fps=...)``. ``None`` counts the video's own frames.
    """

    def __init__(
        self,
        clip_len: int = 16,
        frame_interval: float = 4,
        interval_unit: str = 'frames',
        position: str = 'random',
        short_side: int | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        target_fps: float | None = None,
    ) -> None:
        check_clip_timing(clip_len, frame_interval, interval_unit)
        if position not in POSITIONS:
            raise ValueError(f'position must be one of {POSITIONS}, got {position!r}')
        if target_fps is not None and (target_fps <= 0 or interval_unit != 'frames'):
            raise ValueError(
                "target_fps must be positive, and its frame_interval in 'frames', got "
                f'target_fps={target_fps} and interval_unit={interval_unit!r}'
            )
        self.target_fps = target_fps
        self.timing = (clip_len, frame_interval, interval_unit)
        self.position = position
        self.short_side = _check_short_side(short_side)
        self.readers = build_readers(1, timeout)

    def transform(self, results: dict) -> dict:
        """Add ``results['clip']``."""
        reader = self.readers.get(results['video_path'], results['reader'])
        rng = generator_of(results) if self.position == 'random' else None
        results['frame_inds'] = self._choose_frames(reader, rng)
        results['fps'] = reader.fps
        results['clip'] = reader.get_frames(results['frame_inds'], self.short_side)
        return results

    def _choose_frames(self, reader: VideoReader, rng: np.random.Generator | None) -> np.ndarray:
        if self.target_fps is not None:
            clip_len, frame_interval, _ = self.timing
            span = max(1.0, clip_len * frame_interval * reader.fps / self.target_fps)
            start = self._choose_start(int(reader.num_frames - span) + 1, rng)
            frame_inds = start + np.linspace(0, span - 1, clip_len).astype(np.int64)
            return np.minimum(frame_inds, reader.num_frames - 1)
        if self.timing[-1] == 'seconds':
            timestamps = reader.timestamps
        else:
            timestamps = np.arange(reader.num_frames)  # their number suffices
        start = self._choose_start(count_clip_starts(timestamps, *self.timing), rng)
        frame_inds = clip_frame_inds(timestamps, start, *self.timing)
        return np.minimum(frame_inds, len(timestamps) - 1)

    def _choose_start(self, num_starts: int, rng: np.random.Generator | None) -> int:
        num_starts = max(1, num_starts)
        if rng is None:
            return (num_starts - 1) // 2  # in the middle
        return int(rng.integers(num_starts))


@TRANSFORMS.register_module()
class VideoInit(BaseTransform):
    """Open a video for mmaction2's transforms, in the place of its ``DecordInit``.

    It uses our guarded readers, as pretraining does: a video that cannot be read raises
    :class:`VideoError`, which names it, and ``VideoListDataset`` replaces the sample.
    :class:`VideoDecode` decodes the frames.

    **Required Keys:** video_path and reader (``VideoListDataset``), or filename (mmaction2's)

    **Added Keys:** video_reader, total_frames, avg_fps, and what mmaction2's own data sets give:
    start_index, modality, label (-1 if there is none)

    Args:
        timeout: As in :class:`DecodeClip`.
    """

    def __init__(self, timeout: float | None = DEFAULT_TIMEOUT) -> None:
        self.readers = build_readers(1, timeout)

    def transform(self, results: dict) -> dict:
        """Add ``results['video_reader']``."""
        path = results.get('video_path') or results.get('filename')
        if path is None:
            raise ValueError(
                'VideoInit opens videos, and this data set gives neither video_path nor filename; '
                'of folders of frames, mmaction2 reads them by RawFrameDecode'
            )
        reader = self.readers.get(path, results.get('reader') or dict(type='PyAVReader'))
        given = dict(start_index=0, modality='RGB', label=-1, filename=path) | results
        return dict(given, video_reader=reader, total_frames=reader.num_frames, avg_fps=reader.fps)


@TRANSFORMS.register_module()
class VideoDecode(BaseTransform):
    """Decode what :class:`VideoInit` has opened, in the place of mmaction2's ``DecordDecode``.

    **Required Keys:** video_reader, frame_inds

    **Modified Keys:** video_reader (None)

    **Added Keys:** imgs (list of uint8 RGB ``(H, W, 3)``), original_shape, img_shape
    """

    def transform(self, results: dict) -> dict:
        """Add ``results['imgs']``."""
        frame_inds = np.ravel(results['frame_inds'])
        imgs = list(results['video_reader'].get_frames(frame_inds))
        shape = imgs[0].shape[:2]
        return dict(
            results,
            video_reader=None,
            frame_inds=frame_inds,
            imgs=imgs,
            original_shape=shape,
            img_shape=shape,
        )


@TRANSFORMS.register_module()
class LoadImageClip(BaseTransform):
    """Read an image as a clip of one frame.

    A rotation in the EXIF data is ignored; transparency is dropped.

    **Required Keys:** img_path

    **Added Keys:** clip (uint8 RGB ``(1, H, W, 3)``)
    """

    def transform(self, results: dict) -> dict:
        """Add ``results['clip']``."""
        results['clip'] = read_image(results['img_path'])[None]
        return results
