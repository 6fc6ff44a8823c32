"""k-NN accuracy of telling the parts of a video apart: a check without labels but the clock.

A video is cut into ``NUM_PARTS`` parts of one length. Random crops with changed colours from the
first 40 % of each fill a bank; those held out come from its last 40 %. Measured is the share of
held-out crops whose part a weighted k-NN vote over the bank names right. The number compares
features on one video, not videos.
"""

import os
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from mmvidssl.apis import extract_features
from mmvidssl.datasets.transforms import (
    ClipColorJitter,
    ClipRandomFlip,
    ClipRandomGrayscale,
    ClipRandomResizedCrop,
)
from mmvidssl.evaluation import knn_accuracy

from .footage import open_footage

NUM_PARTS = 5
BANK, HELD_OUT = (0.0, 0.4), (0.6, 1.0)  # shares of a part
CROP_SCALE = (0.1, 0.4)  # shares of a frame's area
NUM_NEIGHBORS = 20
FRAMES_PER_PART = 8


class SegmentKNN(NamedTuple):
    """A fixed task: crops ``(N, S, S, 3)`` uint8 RGB, and the parts ``(N,)`` they come from."""

    bank: np.ndarray
    held_out: np.ndarray
    labels: torch.Tensor
    """Of both."""
    seconds: float
    """Length of the video."""

    def accuracy(self, model: nn.Module, role: str = 'teacher') -> float:
        """Of the class tokens of a model's backbone, in ``[0, 1]``."""
        return self.vote(*(extract_features(model, c, role=role) for c in self[:2]))

    def vote(self, bank: torch.Tensor, held_out: torch.Tensor) -> float:
        """Accuracy of features ``(N, D)`` of the two sets of crops."""
        return knn_accuracy(bank, self.labels, held_out, self.labels, NUM_PARTS, k=NUM_NEIGHBORS)

    def compare(self, before: float, after: float) -> dict:
        """Accuracies beside those that need no learning, and what they are."""
        return dict(
            measured=f'the share of {len(self.held_out)} held-out random crops (10-40 % of a '
            f'frame, colours changed) whose part of the video, 1 of {NUM_PARTS}, a vote of the '
            f'{NUM_NEIGHBORS} nearest of {len(self.bank)} crops from earlier moments names right',
            before=before,
            after=after,
            pixels=self.vote(_shrunk(self.bank), _shrunk(self.held_out)),
            chance=1 / NUM_PARTS,
        )


def make_segment_knn(
    video: str | os.PathLike, crop_size: int, num_crops: int = 400, seed: int = 0
) -> SegmentKNN:
    """Draw the crops of the task.

    Args:
        video: A video or a proxy.
        crop_size: Height and width of a crop, in pixels.
        num_crops: Crops in the bank, and as many held out, about.
        seed: Of the crops.

    Raises:
        ValueError: If parts have fewer than five frames.
    """
    reader = open_footage(video)
    if reader.num_frames < 5 * NUM_PARTS:
        raise ValueError(
            f'{video} is too short: {reader.num_frames} frames, at least {5 * NUM_PARTS} are needed'
        )
    per_part = max(1, num_crops // NUM_PARTS)
    edges = np.linspace(0, reader.num_frames, NUM_PARTS + 1)
    rng = np.random.default_rng(seed)
    bank, held_out = (
        np.concatenate(
            [
                _crops(reader.get_frames(_spread(*pair, share)), per_part, crop_size, rng)
                for pair in zip(edges[:-1], edges[1:], strict=True)
            ]
        )
        for share in (BANK, HELD_OUT)
    )
    labels = torch.arange(NUM_PARTS).repeat_interleave(per_part)
    return SegmentKNN(bank, held_out, labels, reader.num_frames / reader.fps)


def _spread(start: float, stop: float, share: tuple[float, float]) -> np.ndarray:
    """Numbers of frames evenly spread over a share of the part from ``start`` to ``stop``."""
    first, last = (start + s * (stop - start) for s in share)
    return np.unique(np.linspace(first, last - 1, FRAMES_PER_PART).astype(int))


def _crops(frames: np.ndarray, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """``(count, size, size, 3)`` random crops of frames ``(T, H, W, 3)``."""
    pipeline = (
        ClipRandomResizedCrop(size, CROP_SCALE),
        ClipRandomFlip(),
        ClipColorJitter(prob=1.0),
        ClipRandomGrayscale(),
    )
    crops = []
    for i in range(count):
        results = dict(clip=frames[i % len(frames)][None], rng=rng)
        for transform in pipeline:
            results = transform(results)
        crops.append(results['clip'][0])
    return np.stack(crops)


def _shrunk(crops: np.ndarray) -> torch.Tensor:
    """The crops themselves, shrunk to 8 x 8 pixels, mean removed: features without learning."""
    small = [cv2.resize(c, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32) for c in crops]
    features = torch.from_numpy(np.stack(small)).flatten(1)
    return features - features.mean(dim=1, keepdim=True)
