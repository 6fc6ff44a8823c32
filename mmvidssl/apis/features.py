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

from mmvidssl.utils.atomic_file import atomic_path

from .media import MediaSamples, Paths, Sampling, to_clip

FRAMES_AT_ONCE = 64
ROLES = ('teacher', 'student')
POOLS = ('class', 'mean', 'none')


class FileFeatures(NamedTuple):
    """Features of files, and where each comes from."""

    features: Tensor
    """``(S, D)`` on the CPU, or ``(S, N, D)`` with ``pool='none'``; S samples."""
    names: list[str]
    """Of the file of each: below the folder that was searched, or as it was given."""
    times: np.ndarray
    """Seconds of the first frame of each within its video, float64 ``(S,)``; NaN for images."""
    failed: dict[str, str] = {}
    """Why a file could not be read, by its name, of those left out (:func:`write_features`)."""

    @classmethod
    def join(cls, parts: Sequence['FileFeatures']) -> 'FileFeatures':
        """One after another."""
        full = [part for part in parts if part.names] or parts[:1]
        return cls(
            torch.cat([part.features for part in full]),
            [name for part in full for name in part.names],
            np.concatenate([part.times for part in full]),
            {name: reason for part in parts for name, reason in part.failed.items()},
        )

    def arrays(self) -> dict[str, Any]:
        """As they are written; ``failed`` as names and ``reasons``."""
        texts = dict(names=self.names, failed=[*self.failed], reasons=[*self.failed.values()])
        strings = {key: np.array(text, dtype=np.str_) for key, text in texts.items()}
        return dict(features=self.features.numpy(), times=self.times, **strings)

    def save(self, path: str | os.PathLike) -> Path:
        """Write an ``.npz`` of arrays of these names, which opens without pickle.

        Raises:
            ValueError: If the path does not end in ``.npz``.
        """
        path = check_npz(path)
        with atomic_path(path) as temporary:
            np.savez(temporary, **self.arrays())
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
            ``(3, T, H, W)`` uint8 tensor: each is a sample, or each stretch of as many as the
            backbone's clips have. Or an image, a video, a folder, or several of them, on disk.
        batch_size: Samples in one forward pass; None for as many as have 64 frames.
        role: See :func:`select_backbone`.
        layers: See :class:`FeatureExtractor`, also for ``pool``.
        pool: See there.
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


class FeatureExtractor(nn.Module):
    """A backbone and its preprocessing, as one function from pixels to features.

    Tokens of a ViT's blocks all go through its last norm, as DINO does where it takes several.
    The blocks of an MViT differ in width, so only the last one's go through the norm. Where a
    backbone gives its classifier the norm of the mean of the patch tokens, so does ``'mean'``, and
    not the mean of their norms: ``PooledMViT``, and ViTs whose ``out_type`` is ``'avg_featmap'``
    (whose norm of the mean, as ever, every block of those asked for goes through).

    Args:
        model: An algorithm with a ViT or an MViT, or a downstream model with one.
        layers: Number of a block, or of several whose features stand beside each other; negative
            numbers count from the end.
        pool: ``'class'`` (the class token), ``'mean'`` (of the patch tokens), ``'none'`` (all patch
            tokens, in the order ``t, h, w``), or None: the class token of a backbone whose
            ``out_type`` is that (DINO, DoRA), and the mean of any other (MaskFeat trains no class
            token).
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
        super().__init__()
        self.backbone = select_backbone(model, role)
        name = type(self.backbone).__name__
        if not isinstance(self.blocks, nn.ModuleList):
            raise ValueError(f'{name} is neither a ViT nor an MViT; it has no list of blocks')
        numbers = (layers,) if isinstance(layers, int) else tuple(layers)
        count = len(self.blocks)
        if not numbers or not all(-count <= number < count for number in numbers):
            raise ValueError(
                f'layers must be in [-{count}, {count}), at least one: {name} has {count} blocks, '
                f'got {layers}'
            )
        self.layers = tuple(number % count for number in numbers)
        if pool not in (*POOLS, None):
            raise ValueError(f'pool must be one of {POOLS}, got {pool!r}')
        is_class = getattr(self.backbone, 'out_type', None) == 'cls_token'
        self.pool = pool or ('class' if is_class else 'mean')
        if self.pool == 'class' and not self.num_class_tokens:
            raise ValueError(f"this {name} has no class token; use pool='mean'")
        mean, std = find_normalization(model)
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)

    @property
    def blocks(self) -> nn.ModuleList:
        """The backbone's blocks."""
        return getattr(self.backbone, 'blocks', getattr(self.backbone, 'layers', None))

    @property
    def num_class_tokens(self) -> int:
        """Tokens before those of the patches, 0 or 1."""
        if hasattr(self.backbone, 'num_extra_tokens') and hasattr(self.backbone, 'ln1'):
            return self.backbone.num_extra_tokens
        return int(getattr(self.backbone, 'with_cls_token', self.backbone.cls_token is not None))

    @property
    def clip_len(self) -> int | None:
        """Frames of the clips that the backbone was built for; None if it takes single frames."""
        projection = self.backbone.patch_embed.projection
        if not isinstance(projection, nn.Conv3d) or _takes_images(self.backbone):
            return None
        return self.backbone.patch_resolution[0] * projection.stride[0]

    @property
    def frame_size(self) -> int:
        """Pixels of the (shorter) side of the frames that the backbone was built for."""
        strides = self.backbone.patch_embed.projection.stride[-2:]
        grid = self.backbone.patch_resolution[-2:]
        return min(tokens * stride for tokens, stride in zip(grid, strides, strict=True))

    def forward(self, pixels: Tensor) -> Tensor:
        """Features.

        Args:
            pixels: RGB from 0 to 255, frames ``(B, 3, H, W)``, or clips ``(B, 3, T, H, W)`` where
                ``clip_len`` is not None.

        Returns:
            ``(B, L * D)`` for ``L`` layers, or ``(B, N, L * D)`` with ``pool='none'``.
        """
        shape = (1, -1) + (1,) * (pixels.ndim - 2)
        inputs = (pixels.float() - self.mean.view(shape)) / self.std.view(shape)
        outputs = self._run(inputs)
        pooled = [self._pooled(outputs[layer], layer) for layer in self.layers]
        if self.pool == 'none' and len({int(features.shape[1]) for features in pooled}) > 1:
            raise ValueError(
                f'layers {self.layers} give {[tuple(f.shape) for f in pooled]}, which cannot '
                "stand beside each other; use pool='mean' or layers of one grid"
            )
        return torch.cat(pooled, dim=-1)

    def _run(self, inputs: Tensor) -> dict[int, Tensor]:
        """What the wanted blocks put out, ``(B, 1 + N, D)`` by number of the block."""
        outputs: dict[int, Tensor] = {}

        def keep(layer: int):
            def hook(block, args, output) -> None:  # an MViT's block puts out its grid as well
                outputs[layer] = output[0] if isinstance(output, tuple) else output

            return hook

        hooks = [self.blocks[layer].register_forward_hook(keep(layer)) for layer in self.layers]
        try:
            self.backbone(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs

    def _normed(self, tokens: Tensor, layer: int) -> Tensor:
        backbone = self.backbone
        if hasattr(backbone, 'final_norm'):  # a ViT
            return backbone.ln1(tokens) if backbone.final_norm else tokens
        is_last = layer == len(self.blocks) - 1
        norm = getattr(backbone, f'norm{backbone.num_scales - 1}', None) if is_last else None
        return tokens if norm is None else norm(tokens)

    def _pooled(self, tokens: Tensor, layer: int) -> Tensor:
        """``(B, 1 + N, D)`` to ``(B, D)``, or to ``(B, N, D)`` with ``pool='none'``."""
        patches = slice(self.num_class_tokens, None)
        if self.pool == 'mean' and getattr(self.backbone, 'norms_mean', False):  # PooledMViT
            return self._normed(tokens[:, patches].mean(dim=1), layer)
        tokens = self._normed(tokens, layer)
        if self.pool == 'class':
            return tokens[:, 0]
        if self.pool == 'none':
            return tokens[:, patches]
        mean = tokens[:, patches].mean(dim=1)
        is_normed_again = getattr(self.backbone, 'out_type', None) == 'avg_featmap'
        return self.backbone.ln2(mean) if is_normed_again else mean


def _takes_images(backbone: nn.Module) -> bool:
    """Whether a backbone with a patch embedding of clips makes clips of images itself."""
    from mmvidssl.models import backbones

    image_mvit = getattr(backbones, 'ImageMViT', None)  # absent without mmaction2
    return image_mvit is not None and isinstance(backbone, image_mvit)


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
