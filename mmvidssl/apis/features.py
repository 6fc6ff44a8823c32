"""Features of frames and clips, in memory or on disk."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmvidssl.models.algorithms.frozen_encoder import FrozenEncoder
from mmvidssl.utils.atomic_file import atomic_path

from .media import MediaSamples, Paths, Sampling, to_clip

FRAMES_AT_ONCE = 64
ROLES = ('teacher', 'student')


class FileFeatures(NamedTuple):
    """Features of files, and where each comes from."""

    features: Tensor
    """``(S, D)`` on the CPU, or ``(S, N, D)`` with ``pool='none'``; S samples."""
    names: list[str]
    """File of each sample: its path below the searched folder, or as it was given."""
    times: np.ndarray
    """Start of each sample in its video, in seconds, float64 ``(S,)``; NaN for images."""
    failed: dict[str, str] = {}
    """Files left out since they cannot be read, with the reasons (:func:`write_features`)."""

    @classmethod
    def join(cls, parts: Sequence['FileFeatures']) -> 'FileFeatures':
        """Concatenate features of several sets of files."""
        full = [part for part in parts if part.names] or parts[:1]
        return cls(
            torch.cat([part.features for part in full]),
            [name for part in full for name in part.names],
            np.concatenate([part.times for part in full]),
            {name: reason for part in parts for name, reason in part.failed.items()},
        )

    def arrays(self) -> dict[str, Any]:
        """Arrays that :meth:`save` writes; ``failed`` becomes names and ``reasons``."""
        texts = dict(names=self.names, failed=[*self.failed], reasons=[*self.failed.values()])
        strings = {key: np.array(text, dtype=np.str_) for key, text in texts.items()}
        return dict(features=self.features.numpy(), times=self.times, **strings)

    def save(self, path: str | os.PathLike) -> Path:
        """Write an ``.npz`` of arrays with the fields' names, which opens without pickle.

        Raises:
            ValueError: If the path does not end in ``.npz``.
        """
        path = check_npz(path)
        with atomic_path(path) as temporary:
            np.savez(temporary, **self.arrays())
        return path


def check_npz(path: str | os.PathLike) -> Path:
    """Check the suffix of a file of features; returns the path.

    Raises:
        ValueError: If it does not end in ``.npz``.
    """
    if Path(path).suffix != '.npz':
        raise ValueError(f'features are written as .npz, got {path}')
    return Path(path)


@overload
def extract_features(
    model: nn.Module, images_or_video: np.ndarray | Tensor, *args: Any, **options: Any
) -> Tensor: ...


@overload
def extract_features(
    model: nn.Module, images_or_video: Paths, *args: Any, **options: Any
) -> FileFeatures: ...


@torch.no_grad()
def extract_features(
    model: nn.Module,
    images_or_video: np.ndarray | Tensor | Paths,
    batch_size: int | None = None,
    role: str | None = None,
    layers: int | Sequence[int] = -1,
    pool: str | None = None,
    sampling: Sampling | None = None,
    num_workers: int = 0,
    show_progress: bool | None = None,
) -> Tensor | FileFeatures:
    """Features of frames (DINO, DoRA, MaskFeat's ViT) or clips (MaskFeat's MViT).

    Args:
        model: From :func:`init_model`, in evaluation mode and on its device.
        images_or_video: Frames of one size, a ``(T, H, W, 3)`` uint8 RGB array or a
            ``(3, T, H, W)`` uint8 tensor: each frame is a sample or, for a backbone of clips, each
            run of ``clip_len`` frames. Or paths of images, videos and folders.
        batch_size: Samples in one forward pass; None for as many as make 64 frames.
        role: See :func:`select_backbone`.
        layers: See :class:`FeatureExtractor`, also for ``pool``.
        pool: See there.
        sampling: Where and how samples are taken from files.
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
    device = next(extractor.backbone.parameters()).device
    extractor.to(device)
    batch_size = batch_size or max(1, FRAMES_AT_ONCE // (extractor.clip_len or 1))
    media = None
    batches: Iterable[Tensor]
    if isinstance(images_or_video, (np.ndarray, Tensor)):
        samples = _cut(to_clip(images_or_video), extractor.clip_len)
        batches, total = samples.split(batch_size), len(samples)
    else:
        sampling = (sampling or Sampling()).for_frames_of(extractor.frame_size)
        media = MediaSamples(images_or_video, extractor.clip_len, sampling)
        batches = DataLoader(media, batch_size=batch_size, num_workers=num_workers)
        total = len(media)
    show = media is not None if show_progress is None else show_progress
    features = []
    with tqdm(desc='extracting features', total=total, disable=not show) as bar:
        for batch in batches:
            features.append(extractor(batch.to(device)).float().cpu())
            bar.update(len(batch))
    if media is None:
        return torch.cat(features)
    names, times = zip(*((sample.name, sample.time) for sample in media.samples), strict=True)
    return FileFeatures(torch.cat(features), list(names), np.array(times))


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


def select_backbone(model: nn.Module, role: str | None = None) -> nn.Module:
    """The student's or the teacher's backbone of a model.

    Args:
        model: An algorithm, or a classifier, detector, ... with a ``backbone``.
        role: ``'teacher'``, ``'student'``, or None: the teacher's if there is a teacher.

    Raises:
        TypeError: If ``model`` is no module.
        ValueError: If ``role`` is none of these, or the model has no teacher or no backbone.
    """
    name = type(model).__name__
    if not isinstance(model, nn.Module):
        raise TypeError(f'model must be what init_model(CONFIG, CHECKPOINT) gives, got a {name}')
    if role not in (*ROLES, None):
        raise ValueError(f'role must be one of {ROLES}, got {role!r}')
    has_teacher = hasattr(model, 'teacher')
    if role == 'teacher' and not has_teacher:
        raise ValueError(f'{name} has no teacher; use role="student"')
    if not hasattr(model, 'backbone'):
        raise ValueError(f'{name} has no backbone')
    return model.teacher.backbone if has_teacher and role != 'student' else model.backbone


class FeatureExtractor(FrozenEncoder):
    """The backbone of a model, as a function from pixels to features.

    Args:
        model: An algorithm with a ViT or an MViT, or a downstream model with one.
        layers: See :class:`FrozenEncoder`, also for ``pool`` and the features.
        pool: See there.
        role: See :func:`select_backbone`.

    Raises:
        ValueError: if there is no such block, pooling, class token or role, or the model does not
            say how it normalises pixels.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: int | Sequence[int] = -1,
        pool: str | None = None,
        role: str | None = None,
    ) -> None:
        backbone = select_backbone(model, role)
        super().__init__(backbone, *find_normalization(model), layers=layers, pool=pool)


def find_normalization(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``(3,)`` that the model's data preprocessor applies.

    Raises:
        ValueError: If it has none.
    """
    preprocessor = model.data_preprocessor
    mean, std = getattr(preprocessor, 'mean', None), getattr(preprocessor, 'std', None)
    if not isinstance(mean, Tensor) or not isinstance(std, Tensor):
        raise ValueError(
            f'{type(preprocessor).__name__} has no mean and std, by which pixels are normalised; '
            'set both in model.data_preprocessor of the config'
        )
    return mean.detach().flatten().clone(), std.detach().flatten().clone()
