"""k-NN accuracy of telling places in a video apart: a check without labels.

A place is a window of 60 % of a frame's height and width. There are nine, in frames evenly spread
over the video, each at another of 3 x 3 positions, so that places differ even in a video of one
scene. Random crops of each, with strongly changed colours, fill a bank. Held-out crops are of a
frame of the same shot, a third of a second later or earlier, and mirrored as well. The accuracy is
the share of held-out crops whose place a weighted k-NN vote over the bank names right. Mirroring,
colours and motion change which values pixels have where, all that raw pixels tell. Positions are
drawn several times and averaged over, since much depends on them. The number compares features on
one video, not videos.
"""

import os
import statistics
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from mmvidssl.apis import extract_features
from mmvidssl.apis.video_statistics import measure_change
from mmvidssl.datasets.transforms import (
    ClipColorJitter,
    ClipRandomFlip,
    ClipRandomGrayscale,
    ClipRandomResizedCrop,
)
from mmvidssl.evaluation import knn_accuracy

from .footage import open_footage

GRID = 3  # positions of windows in each direction
NUM_PLACES = GRID**2
WINDOW = 0.6  # share of a frame's height and width
CROP_SCALE = (0.2, 0.8)  # shares of a window's area
AWAY = 1 / 3  # seconds from a frame of the bank to the one held out
NUM_DRAWS = 5
NUM_NEIGHBORS = 20


class Places(NamedTuple):
    """Crops ``(N, S, S, 3)`` uint8 RGB, and the places ``(N,)`` they come from."""

    bank: np.ndarray
    held_out: np.ndarray
    labels: torch.Tensor
    """Place of each crop, the same for both sets."""

    def vote(self, bank: torch.Tensor, held_out: torch.Tensor) -> float:
        """k-NN accuracy of features ``(N, D)`` of both sets, less the mean of the bank."""
        features = [x - bank.mean(dim=0) for x in (bank, held_out)]
        return knn_accuracy(
            features[0], self.labels, features[1], self.labels, NUM_PLACES, k=NUM_NEIGHBORS
        )


class PlaceKNN:
    """k-NN accuracy of telling places apart, averaged over ``NUM_DRAWS`` fixed draws.

    Args:
        video: A video or a proxy.
        crop_size: Height and width of a crop, in pixels.
        num_crops: Crops of a draw in the bank, about; as many are held out.

    Raises:
        ValueError: If there are fewer frames than places.
    """

    def __init__(self, video: str | os.PathLike, crop_size: int, num_crops: int = 360) -> None:
        reader = open_footage(video)
        if reader.num_frames < NUM_PLACES:
            raise ValueError(
                f'{video} is too short: {reader.num_frames} frames, at least {NUM_PLACES} are '
                'needed'
            )
        middles = (np.arange(NUM_PLACES) + 0.5) * reader.num_frames / NUM_PLACES
        # In a short video, at most a third of the way to the next place.
        away = min(AWAY * reader.fps, reader.num_frames / NUM_PLACES / 3)
        self.away = away / reader.fps
        frames, after, ago = (
            reader.get_frames(at.astype(int)) for at in (middles, middles + away, middles - away)
        )
        # Across a cut there is another place: of the two, the one that is more alike.
        then = np.stack(
            [
                min(pair, key=partial(measure_change, frame))
                for frame, *pair in zip(frames, after, ago, strict=True)
            ]
        )
        self.draws = [
            draw_places(frames, then, crop_size, num_crops, seed) for seed in range(NUM_DRAWS)
        ]

    def accuracy(self, features: Callable[[np.ndarray], torch.Tensor]) -> float:
        """Accuracy, in ``[0, 1]``, of a function from crops to features ``(N, D)``."""
        return statistics.mean(
            draw.vote(features(draw.bank), features(draw.held_out)) for draw in self.draws
        )

    def accuracy_of(self, model: nn.Module) -> float:
        """Accuracy of the class tokens of the teacher's backbone."""
        return self.accuracy(lambda crops: extract_features(model, crops, role='teacher'))

    def compare(self, before: float, after: float) -> dict:
        """Accuracies before and after training, of raw pixels, of chance, and what they are."""
        crops = sum(len(draw.held_out) for draw in self.draws)
        return dict(
            measured=f'the share of {crops} mirrored random crops (7-29 % of a frame, colours '
            f'changed) whose place in the video, 1 of {NUM_PLACES}, a vote of the {NUM_NEIGHBORS} '
            f'nearest of other crops, not mirrored and {self.away:.2f} s away, names right',
            before=before,
            after=after,
            pixels=self.accuracy(_shrunk),
            chance=1 / NUM_PLACES,
        )


def draw_places(
    frames: np.ndarray, then: np.ndarray, crop_size: int, num_crops: int, seed: int
) -> Places:
    """Choose a window in each of the frames ``(NUM_PLACES, H, W, 3)``, and crop it at random.

    Held-out crops are of the frames ``then``.
    """
    rng = np.random.default_rng(seed)
    positions = rng.permutation(NUM_PLACES).tolist()
    each = max(1, num_crops // NUM_PLACES)
    bank, held_out = (
        np.concatenate(
            [
                make_crops(cut_window(frame, at), each, crop_size, rng, mirror)
                for frame, at in zip(of, positions, strict=True)
            ]
        )
        for of, mirror in ((frames, False), (then, True))
    )
    return Places(bank, held_out, torch.arange(NUM_PLACES).repeat_interleave(each))


def cut_window(frame: np.ndarray, position: int) -> np.ndarray:
    """The window of a frame ``(H, W, 3)`` at one of the positions, which count row by row."""
    height, width = frame.shape[:2]
    size = int(WINDOW * height), int(WINDOW * width)
    row, column = divmod(position, GRID)
    top = row * (height - size[0]) // (GRID - 1)
    left = column * (width - size[1]) // (GRID - 1)
    return frame[top : top + size[0], left : left + size[1]]


def make_crops(
    frame: np.ndarray, count: int, size: int, rng: np.random.Generator, mirror: bool
) -> np.ndarray:
    """``(count, size, size, 3)`` random crops of a frame or window ``(H, W, 3)``."""
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
    """Features without learning: crops shrunk to 8 x 8 pixels.

    Each less its mean and of unit length, since brightness and contrast are changed at random and
    would hide the rest.
    """
    small = [cv2.resize(c, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32) for c in crops]
    pixels = torch.from_numpy(np.stack(small)).flatten(1)
    return nn.functional.normalize(pixels - pixels.mean(dim=1, keepdim=True))
