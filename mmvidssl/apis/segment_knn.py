"""How well features tell the parts of a video apart: a check that needs no labels but the clock.

A video is cut into segments (its shots, or stretches of it). Random crops with changed colours from
the first 40 % of each segment fill a bank; those held out come from its last 40 %, after a gap.
Measured is the share of held-out crops whose segment a weighted k-NN vote over the bank names
right. A scene that hardly changes makes this easier, two shots of one place make it harder: the
number compares features on one video, not videos.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from mmvidssl.datasets.readers import PyAVReader
from mmvidssl.datasets.transforms import (
    ClipColorJitter,
    ClipRandomFlip,
    ClipRandomGrayscale,
    ClipRandomResizedCrop,
)
from mmvidssl.evaluation import knn_accuracy

from .features import extract_features

MIN_SEGMENTS, MAX_SEGMENTS = 4, 10
BANK, HELD_OUT = (0.0, 0.4), (0.6, 1.0)  # shares of a segment
CROP_SCALE = (0.1, 0.4)  # shares of a frame's area
NUM_NEIGHBORS = 20
FRAMES_PER_PART = 8


class Segment(NamedTuple):
    """Frames ``start`` to ``stop - 1`` of a video file; its number is its label."""

    video: Path
    start: int
    stop: int

    def frames(self, part: tuple[float, float], count: int) -> np.ndarray:
        """At most ``count`` different frame numbers, evenly spread over a part of the segment."""
        length = self.stop - self.start
        first, last = round(part[0] * length), max(round(part[1] * length) - 1, 0)
        return self.start + np.unique(np.linspace(first, last, count).round().astype(int))


class SegmentKNN(NamedTuple):
    """A fixed task: crops ``(N, S, S, 3)`` uint8 RGB, and the segments ``(N,)`` they come from."""

    bank: np.ndarray
    bank_labels: torch.Tensor
    held_out: np.ndarray
    held_out_labels: torch.Tensor
    num_segments: int

    def describe(self) -> str:
        """What :meth:`accuracy` says, in a sentence."""
        return (
            f'the share of {len(self.held_out)} held-out random crops (10-40 % of a frame, colours '
            f'changed) whose part of the video, 1 of {self.num_segments}, a vote of the '
            f'{NUM_NEIGHBORS} nearest of {len(self.bank)} crops from earlier moments names right'
        )

    def accuracy(self, model: nn.Module, role: str = 'teacher') -> float:
        """Of the class tokens of a model's backbone, in ``[0, 1]``."""
        return self._accuracy(
            extract_features(model, self.bank, role=role),
            extract_features(model, self.held_out, role=role),
        )

    def pixel_accuracy(self) -> float:
        """Of the crops themselves, shrunk to 8 x 8 pixels, mean removed: what needs no learning."""
        return self._accuracy(_shrunk(self.bank), _shrunk(self.held_out))

    def _accuracy(self, bank: torch.Tensor, held_out: torch.Tensor) -> float:
        return knn_accuracy(
            bank,
            self.bank_labels,
            held_out,
            self.held_out_labels,
            self.num_segments,
            k=NUM_NEIGHBORS,
        )


def make_segment_knn(
    videos: Sequence[tuple[Path, int]],
    crop_size: int,
    num_crops: int = 400,
    seed: int = 0,
) -> SegmentKNN:
    """Draw the crops of the task.

    Args:
        videos: Files and their numbers of frames, in order of time.
        crop_size: Height and width of a crop, in pixels.
        num_crops: Crops in the bank, and as many held out, about.
        seed: Of the crops.

    Raises:
        ValueError: If there are too few frames for ``MIN_SEGMENTS`` segments.
    """
    segments = choose_segments(videos)
    per_segment = max(1, num_crops // len(segments))
    rng = np.random.default_rng(seed)
    readers = {s.video: PyAVReader(str(s.video)) for s in segments}
    bank, held_out = (
        np.concatenate(
            [_crops(s, readers[s.video], part, per_segment, crop_size, rng) for s in segments]
        )
        for part in (BANK, HELD_OUT)
    )
    labels = torch.arange(len(segments)).repeat_interleave(per_segment)
    return SegmentKNN(bank, labels, held_out, labels, num_segments=len(segments))


def choose_segments(videos: Sequence[tuple[Path, int]]) -> list[Segment]:
    """One segment a file; the longest are halved while there are too few, thinned if too many."""
    segments = [Segment(path, 0, num_frames) for path, num_frames in videos]
    while len(segments) < MIN_SEGMENTS:
        i = max(range(len(segments)), key=lambda i: segments[i].stop - segments[i].start)
        path, start, stop = segments[i]
        middle = (start + stop) // 2
        if middle - start < 5:
            raise ValueError(
                f'{path} is too short: {stop - start} frames cannot be halved into segments of at '
                f'least 5; at least {5 * MIN_SEGMENTS} frames are needed'
            )
        segments[i : i + 1] = [Segment(path, start, middle), Segment(path, middle, stop)]
    chosen = np.linspace(0, len(segments) - 1, min(len(segments), MAX_SEGMENTS)).round()
    return [segments[int(i)] for i in chosen]


def _crops(segment, reader, part, count, size, rng) -> np.ndarray:
    """``(count, size, size, 3)`` crops of one part of one segment."""
    frames = reader.get_frames(segment.frames(part, FRAMES_PER_PART))
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
    small = [cv2.resize(c, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32) for c in crops]
    features = torch.from_numpy(np.stack(small)).flatten(1)
    return features - features.mean(dim=1, keepdim=True)
