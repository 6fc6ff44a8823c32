"""k-NN accuracy of telling the moments of a video apart: a check without labels but the clock.

From each of ``NUM_MOMENTS`` frames, evenly spread over a video, come random crops with strongly
changed colours. Half of them fill a bank; the others are mirrored as well. Measured is the share of
these whose moment a weighted k-NN vote over the bank names right, which the layout and the colours
of a crop, all that raw pixels tell, cannot say. The number compares features on one video, not
videos: of one without cuts the moments look alike.
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

NUM_MOMENTS = 10
CROP_SCALE = (0.2, 0.8)  # shares of a frame's area
NUM_NEIGHBORS = 20


class MomentKNN(NamedTuple):
    """A fixed task: crops ``(N, S, S, 3)`` uint8 RGB, and the moments ``(N,)`` they come from."""

    bank: np.ndarray
    held_out: np.ndarray
    labels: torch.Tensor
    """Of both."""
    seconds: float
    """Length of the video."""

    def accuracy(self, model: nn.Module) -> float:
        """Of the class tokens of a model's backbone, in ``[0, 1]``."""
        return self.vote(*(extract_features(model, c, role='teacher') for c in self[:2]))

    def vote(self, bank: torch.Tensor, held_out: torch.Tensor) -> float:
        """Accuracy of features ``(N, D)`` of the two sets of crops, less the bank's mean."""
        features = [x - bank.mean(dim=0) for x in (bank, held_out)]
        return knn_accuracy(
            features[0], self.labels, features[1], self.labels, NUM_MOMENTS, k=NUM_NEIGHBORS
        )

    def compare(self, before: float, after: float) -> dict:
        """Accuracies beside those that need no learning, and what they are."""
        return dict(
            measured=f'the share of {len(self.held_out)} mirrored random crops (20-80 % of a '
            f'frame, colours changed) whose moment of the video, 1 of {NUM_MOMENTS}, a vote of the '
            f'{NUM_NEIGHBORS} nearest of {len(self.bank)} other crops, not mirrored, names right',
            before=before,
            after=after,
            pixels=self.vote(_shrunk(self.bank), _shrunk(self.held_out)),
            chance=1 / NUM_MOMENTS,
        )


def make_moment_knn(
    video: str | os.PathLike, crop_size: int, num_crops: int = 800, seed: int = 0
) -> MomentKNN:
    """Draw the crops of the task.

    Args:
        video: A video or a proxy.
        crop_size: Height and width of a crop, in pixels.
        num_crops: Crops in the bank, and as many held out, about.
        seed: Of the crops.

    Raises:
        ValueError: If there are fewer frames than moments.
    """
    reader = open_footage(video)
    if reader.num_frames < NUM_MOMENTS:
        raise ValueError(
            f'{video} is too short: {reader.num_frames} frames, at least {NUM_MOMENTS} are needed'
        )
    per_moment = max(1, num_crops // NUM_MOMENTS)
    middles = (np.arange(NUM_MOMENTS) + 0.5) * reader.num_frames / NUM_MOMENTS
    frames = reader.get_frames(middles.astype(int))
    rng = np.random.default_rng(seed)
    bank, held_out = (
        np.concatenate([make_crops(frame, per_moment, crop_size, rng, mirror) for frame in frames])
        for mirror in (False, True)
    )
    labels = torch.arange(NUM_MOMENTS).repeat_interleave(per_moment)
    return MomentKNN(bank, held_out, labels, reader.num_frames / reader.fps)


def make_crops(
    frame: np.ndarray, count: int, size: int, rng: np.random.Generator, mirror: bool
) -> np.ndarray:
    """``(count, size, size, 3)`` random crops of a frame ``(H, W, 3)``."""
    pipeline = (
        ClipRandomResizedCrop(size, CROP_SCALE),
        ClipRandomFlip(prob=float(mirror)),
        ClipColorJitter(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.5, prob=1.0),
        ClipRandomGrayscale(prob=0.2),
    )
    crops = []
    for _ in range(count):
        results: dict = dict(clip=frame[None], rng=rng)
        for transform in pipeline:
            results = transform(results)
        crops.append(results['clip'][0])
    return np.stack(crops)


def _shrunk(crops: np.ndarray) -> torch.Tensor:
    """The crops themselves, shrunk to 8 x 8 pixels: features without learning."""
    small = [cv2.resize(c, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32) for c in crops]
    return torch.from_numpy(np.stack(small)).flatten(1)
