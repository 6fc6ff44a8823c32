"""Samples of one size, taken from the frames, images and videos that a user gives."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from mmvidssl.datasets.clips import clip_frame_inds, count_clip_starts
from mmvidssl.datasets.list_files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, find_files
from mmvidssl.datasets.readers import build_readers, check_is_local, probe_video, read_image
from mmvidssl.datasets.transforms import ClipCenterCrop, ClipResize

READER = dict(type='mmvidssl.PyAVReader')


class MediaFile(NamedTuple):
    """An image or a video."""

    path: str
    name: str
    """Its path below the searched folder, or as it was given."""


Paths = str | os.PathLike | Sequence[str | os.PathLike | MediaFile]


class Sampling(NamedTuple):
    """How samples are taken from images and videos: spacing, clip timing, resizing, cropping.

    Attributes:
        every: Seconds from one sample of a video to the next.
        frame_interval: Frames of the video from one frame of a clip to the next.
        short_side: Pixels of the shorter side after resizing (bicubic, antialiased); None: 8 / 7 of
            ``crop_size``, as 256 is of 224.
        crop_size: Pixels of the sides of the central square crop; None: those of the frames that
            the model was built for.
    """

    every: float = 1.0
    frame_interval: int = 4
    short_side: int | None = None
    crop_size: int | None = None

    def for_frames_of(self, size: int) -> 'Sampling':
        """Fill in numbers for None, for a model built for frames of ``size`` pixels."""
        crop_size = size if self.crop_size is None else self.crop_size
        short_side = round(crop_size * 8 / 7) if self.short_side is None else self.short_side
        return self._replace(crop_size=crop_size, short_side=short_side)


class Sample(NamedTuple):
    """One image, one frame, or one clip."""

    path: str
    name: str
    """Its path below the searched folder, or as it was given."""
    frame_inds: np.ndarray | None
    """``(T,)``; None for an image."""
    time: float
    """Seconds of the first frame; NaN for an image."""


class MediaSamples(Dataset):
    """Data set of samples from files: each image, and frames or clips all along each video.

    Videos are opened once before anything is read, for the times of their frames. In a video
    shorter than a clip, the last frame is repeated.

    Args:
        sources: A file, a folder (searched with all below it), or several of them.
        clip_len: Frames of a sample of a video; None for single frames, as images are.
        sampling: How samples are taken, with numbers in place of None.

    Raises:
        FileNotFoundError: a file or folder does not exist.
        ValueError: a file is neither image nor video by its suffix, a folder holds none, files of
            two folders have the same name, images are given where clips are needed, or
            ``sampling`` is impossible.
        VideoError: a video cannot be read; names it.
    """

    def __init__(self, sources: Paths, clip_len: int | None, sampling: Sampling) -> None:
        short_side, crop_size = _check(sampling)
        self.clip_len, self.sampling = clip_len, sampling
        self.resize = ClipResize(short_side=short_side)
        self.crop = ClipCenterCrop(crop_size)
        self.readers = build_readers()
        found = find_media(sources)
        images = [path for path, _ in found if is_image(path)]
        if clip_len is not None and images:
            raise ValueError(
                f'the model takes clips of {clip_len} frames, but {images[0]} is an image; give '
                'videos, or use a model of images'
            )
        try:
            self.samples = [sample for path, name in found for sample in self._list(path, name)]
        finally:
            self.readers.close()  # workers start with none

    def _list(self, path: str, name: str) -> list[Sample]:
        if is_image(path):
            return [Sample(path, name, None, float('nan'))]
        timestamps = probe_video(path, READER, self.readers).timestamps
        timing = (self.clip_len or 1, self.sampling.frame_interval, 'frames')
        latest = max(count_clip_starts(timestamps, *timing), 1) - 1
        wanted = np.arange(timestamps[0], timestamps[latest] + 1e-6, self.sampling.every)
        samples = []
        for start in np.unique(np.searchsorted(timestamps, wanted - 1e-6).clip(0, latest)):
            inds = clip_frame_inds(timestamps, int(start), *timing).clip(0, len(timestamps) - 1)
            samples.append(Sample(path, name, inds, float(timestamps[start])))
        return samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> torch.Tensor:
        """uint8 ``(3, T, H, W)``; ``(3, H, W)`` for single frames."""
        sample = self.samples[index]
        if sample.frame_inds is None:
            clip = read_image(sample.path)[None]
        else:
            reader = self.readers.get(sample.path, READER)
            clip = reader.get_frames(sample.frame_inds)
        clip = self.crop.transform(self.resize.transform(dict(clip=clip)))['clip']
        pixels = torch.from_numpy(clip).permute(3, 0, 1, 2)
        return pixels[:, 0] if self.clip_len is None else pixels


def find_media(sources: Paths) -> list[MediaFile]:
    """Find images and videos; a :class:`MediaFile` is kept as it is.

    Raises:
        FileNotFoundError, ValueError: as :class:`MediaSamples`.
    """
    given = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    if not given:
        raise ValueError('no file is given')
    found: list[MediaFile] = []
    for item in given:
        source = str(item)
        if isinstance(item, MediaFile):
            found.append(item)
        elif Path(source).is_dir():
            files = find_files(source, (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
            found += [MediaFile(str(Path(source, file.path)), file.path) for file in files]
        elif not Path(source).exists():
            check_is_local(source)
            raise FileNotFoundError(f'no such image, video or folder: {source}')
        elif not source.lower().endswith((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)):
            raise ValueError(
                f'{source} is neither image nor video: it must end in one of '
                f'{", ".join((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))}'
            )
        else:
            found.append(MediaFile(source, source))
    return found


def is_image(path: str) -> bool:
    """Whether a file is an image, by its suffix."""
    return path.lower().endswith(IMAGE_SUFFIXES)


def to_clip(frames: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Convert a ``(T, H, W, 3)`` uint8 RGB array to a ``(3, T, H, W)`` tensor, or check one.

    Raises:
        ValueError: If it is neither.
    """
    is_array = isinstance(frames, np.ndarray)
    channels, uint8 = (frames.shape[-1:], np.uint8) if is_array else (frames.shape[:1], torch.uint8)
    if frames.ndim != 4 or tuple(channels) != (3,) or frames.dtype != uint8:
        raise ValueError(
            'frames must be an array (T, H, W, 3) or a tensor (3, T, H, W) of uint8, got '
            f'{type(frames).__name__} {tuple(frames.shape)} of {frames.dtype}'
        )
    if is_array:
        return torch.from_numpy(np.ascontiguousarray(frames.transpose(3, 0, 1, 2)))
    return frames


def _check(sampling: Sampling) -> tuple[int, int]:
    """Check a sampling; returns ``short_side`` and ``crop_size``."""
    if sampling.every <= 0 or sampling.frame_interval < 1:
        raise ValueError(
            f'every must be positive seconds and frame_interval at least 1 frame, got '
            f'every={sampling.every}, frame_interval={sampling.frame_interval}'
        )
    short_side, crop_size = sampling.short_side, sampling.crop_size
    if short_side is None or crop_size is None or not 1 <= crop_size <= short_side:
        raise ValueError(
            f'crop_size must be between 1 and short_side={short_side}, got {crop_size}'
        )
    return short_side, crop_size
