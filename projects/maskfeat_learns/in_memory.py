"""Clips held in memory, split for pretraining without and classification with labels."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmcv.transforms import Compose
from torch.utils.data import Dataset

from mmvidssl.datasets.transforms import build_transforms

from .synthetic_clips import CLASSES, make_clips


class LabelledClips(NamedTuple):
    """Clips ``(N, T, H, W, 3)`` uint8 and their labels ``(N,)`` int64."""

    clips: np.ndarray
    labels: torch.Tensor


class Splits(NamedTuple):
    """Disjoint sets of clips, but for ``few``, which is part of ``many``.

    Attributes:
        unlabelled: ``(N, T, H, W, 3)`` uint8, to pretrain on.
        few: To fine-tune and to probe with.
        many: To probe with.
        val: To choose learning rates and penalties by.
        test: To measure on, once.
        num_classes: Number of classes.
    """

    unlabelled: np.ndarray
    few: LabelledClips
    many: LabelledClips
    val: LabelledClips
    test: LabelledClips
    num_classes: int


class ClipsInMemory(Dataset):
    """Clips that need no decoding, through a pipeline, for ``ClipSampler``.

    Args:
        clips: ``(N, T, H, W, 3)`` uint8.
        pipeline: Configs of transforms; they get ``clip`` and ``rng``.
        seed: Of the random draws; with the sampler's ``ClipIndex`` it says what a sample is.
    """

    def __init__(self, clips: np.ndarray, pipeline: Sequence[dict], seed: int) -> None:
        self.clips, self.seed = clips, seed
        self.pipeline = Compose(build_transforms(pipeline))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index) -> dict:
        rng = np.random.default_rng([self.seed, index.draw, index.index])
        return self.pipeline(dict(clip=self.clips[index.index], rng=rng))


def split_synthetic(seed: int, sizes: dict) -> Splits:
    """Fresh synthetic clips; ``sizes`` says how many of each kind."""
    rng = np.random.default_rng([seed, 0])
    names = ('unlabelled', 'many', 'val', 'test')
    drawn = {name: make_clips(sizes[name], rng) for name in names}
    return _assemble(drawn, drawn['unlabelled'][0], sizes['few'], len(CLASSES))


def split_pictures(path: str | os.PathLike, seed: int, sizes: dict) -> Splits:
    """Pictures of a file, shuffled, as clips of one frame.

    Those for pretraining are those with many labels: all that are neither for validation nor for
    testing.

    Args:
        path: ``.npz`` file with ``images`` ``(N, H, W, 3)`` uint8 and ``labels`` ``(N,)`` from 0.
        seed: Of the shuffling.
        sizes: ``few``, ``val`` and ``test``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if its arrays are not these, or too short; names the file.
    """
    images, labels = _read_pictures(Path(path), sizes)
    order = np.random.default_rng([seed, 0]).permutation(len(images))
    clips, labels = images[order][:, None], labels[order]
    first, second = sizes['test'], sizes['test'] + sizes['val']
    parts = dict(test=slice(first), val=slice(first, second), many=slice(second, None))
    drawn = {name: (clips[part], labels[part]) for name, part in parts.items()}
    return _assemble(drawn, drawn['many'][0], sizes['few'], int(labels.max()) + 1)


def _read_pictures(path: Path, sizes: dict) -> tuple[np.ndarray, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f'no such file of pictures: {path}')
    with np.load(path, allow_pickle=False) as file:
        if not {'images', 'labels'} <= set(file):
            raise ValueError(f'{path} must hold the arrays images and labels, it has {list(file)}')
        images, labels = file['images'], file['labels'].astype(np.int64)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            f'images of {path} must be uint8 (N, H, W, 3), got {images.dtype} {images.shape}'
        )
    needed = sizes['few'] + sizes['val'] + sizes['test']
    if labels.shape != images.shape[:1] or len(labels) < needed:
        raise ValueError(
            f'{path} must hold a label for each picture and at least {needed} of them '
            f'({sizes["few"]} to train, {sizes["val"]} to validate, {sizes["test"]} to test), got '
            f'{len(images)} pictures and labels of the shape {labels.shape}'
        )
    return images, labels


def _assemble(drawn: dict, unlabelled: np.ndarray, num_few: int, num_classes: int) -> Splits:
    parts = {
        name: LabelledClips(clips, torch.from_numpy(labels))
        for name, (clips, labels) in drawn.items()
        if name != 'unlabelled'
    }
    chosen = choose_balanced(parts['many'].labels, num_few, num_classes)
    clips, labels = parts['many']
    few = LabelledClips(clips[chosen.numpy()], labels[chosen])
    return Splits(unlabelled, few, **parts, num_classes=num_classes)


def choose_balanced(labels: torch.Tensor, num: int, num_classes: int) -> torch.Tensor:
    """Indices of the first ``num // num_classes`` samples of each class.

    Raises:
        ValueError: if a class has fewer.
    """
    each = num // num_classes
    chosen = [torch.nonzero(labels == k).flatten()[:each] for k in range(num_classes)]
    if not each or any(len(index) < each for index in chosen):
        raise ValueError(
            f'{num} labels are {each} for each of {num_classes} classes; the scarcest class has '
            f'{min(map(len, chosen))}'
        )
    return torch.cat(chosen)
