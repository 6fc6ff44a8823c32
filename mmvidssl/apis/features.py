"""Features of frames and clips, in memory or on disk."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.utils.progress_bar import ProgressBar

from .feature_extractor import FeatureExtractor
from .images import to_clip
from .media import MediaSamples, Paths, Sampling

FRAMES_AT_ONCE = 64


class FileFeatures(NamedTuple):
    """Features of files, and where each comes from."""

    features: Tensor
    """``(S, D)`` on the CPU, or ``(S, N, D)`` with ``pool='none'``; S samples."""
    names: list[str]
    """Of the file of each: below the folder that was searched, or as it was given."""
    times: np.ndarray
    """Seconds of the first frame of each within its video, float64 ``(S,)``; NaN for images."""

    def save(self, path: str | os.PathLike) -> Path:
        """Write an ``.npz`` of three arrays of these names, which opens without pickle.

        Raises:
            ValueError: If the path does not end in ``.npz``.
        """
        path = check_npz(path)
        with atomic_path(path) as temporary:
            np.savez(
                temporary,
                features=self.features.numpy(),
                names=np.array(self.names, dtype=np.str_),
                times=self.times,
            )
        return path


def check_npz(path: str | os.PathLike) -> Path:
    """The path.

    Raises:
        ValueError: If it does not end in ``.npz``.
    """
    if Path(path).suffix != '.npz':
        raise ValueError(f'features are written as .npz, got {path}')
    return Path(path)


@overload
def extract_features(
    model: nn.Module,
    images_or_video: np.ndarray | Tensor,
    batch_size: int | None = ...,
    role: str | None = ...,
    layers: int | Sequence[int] = ...,
    pool: str | None = ...,
    sampling: Sampling | None = ...,
    num_workers: int = ...,
    show_progress: bool | None = ...,
) -> Tensor: ...


@overload
def extract_features(
    model: nn.Module,
    images_or_video: Paths,
    batch_size: int | None = ...,
    role: str | None = ...,
    layers: int | Sequence[int] = ...,
    pool: str | None = ...,
    sampling: Sampling | None = ...,
    num_workers: int = ...,
    show_progress: bool | None = ...,
) -> FileFeatures: ...


def extract_features(
    model,
    images_or_video,
    batch_size=None,
    role=None,
    layers=-1,
    pool=None,
    sampling=None,
    num_workers=0,
    show_progress=None,
):
    """Features of frames (DINO, DoRA, MaskFeat's ViT) or clips (MaskFeat's MViT).

    Args:
        model: From :func:`init_model`, in evaluation mode and on its device.
        images_or_video: Frames of one size, a ``(T, H, W, 3)`` uint8 RGB array or a
            ``(3, T, H, W)`` uint8 tensor: each is a sample, or each stretch of as many as the
            backbone's clips have. Or an image, a video, a folder, or several of them, on disk.
        batch_size: Samples in one forward pass; None for as many as have 64 frames.
        role: ``'teacher'``, ``'student'``, or None: the teacher if there is one.
        layers: Number of a block, or of several whose features stand beside each other; negative
            numbers count from the end. See :class:`FeatureExtractor`, also for ``pool``.
        pool: ``'class'``, ``'mean'`` or ``'none'``; None: what the model was trained for.
        sampling: How files become samples.
        num_workers: Processes that read files; 0 reads them in this one.
        show_progress: Whether to draw a progress bar; None: for files.

    Returns:
        ``(S, D)`` on the CPU for frames in memory, :class:`FileFeatures` for files; ``D`` is the
        sum over layers.

    Raises:
        ValueError: If an argument is of another kind, or is impossible with this model.
        FileNotFoundError, VideoError, ImageError: If a file cannot be read; names it.
    """
    extractor = FeatureExtractor(model, layers, pool, role)
    extractor.to(next(extractor.backbone.parameters()).device)
    batch_size = batch_size or max(1, FRAMES_AT_ONCE // (extractor.clip_len or 1))
    if isinstance(images_or_video, (np.ndarray, Tensor)):
        samples = _cut(to_clip(images_or_video), extractor.clip_len)
        show = bool(show_progress)
        return _run(extractor, samples.split(batch_size), len(samples), show)
    media = MediaSamples(images_or_video, extractor.clip_len, sampling or Sampling())
    loader = DataLoader(media, batch_size=batch_size, num_workers=num_workers)
    features = _run(extractor, loader, len(media), show_progress is not False)
    names = [sample.name for sample in media.samples]
    return FileFeatures(features, names, np.array([sample.time for sample in media.samples]))


def _cut(frames: Tensor, clip_len: int | None) -> Tensor:
    """``(3, T, H, W)`` -> ``(T, 3, H, W)`` or clips ``(T / clip_len, 3, clip_len, H, W)``."""
    if clip_len is None:
        return frames.transpose(0, 1)
    if frames.shape[1] % clip_len:
        raise ValueError(
            f'the model takes clips of {clip_len} frames, which do not divide the '
            f'{frames.shape[1]} frames given; leave out {frames.shape[1] % clip_len}'
        )
    return frames.unflatten(1, (-1, clip_len)).transpose(0, 1)


@torch.no_grad()
def _run(
    extractor: FeatureExtractor, batches: Iterable[Tensor], total: int, show_progress: bool
) -> Tensor:
    console = None if show_progress else Console(quiet=True)
    features: list[Tensor] = []
    with ProgressBar('extracting features', total, console) as bar:
        for batch in batches:
            features.append(extractor(batch.to(extractor.mean.device)).float().cpu())
            bar.update(bar.done + len(batch))
    return torch.cat(features)
