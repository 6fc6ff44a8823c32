"""Labelled clips made on the spot: a shape that moves in one of several ways over drifting clutter.

Everything that is not the label is random: place, size, angle, speed, direction, colours, texture
and drift of the background, what lies about in it, and pixel noise.
"""

import itertools
import math

import cv2
import numpy as np

SHAPES = ('triangle', 'square', 'star', 'cross')
MOTIONS = ('slide', 'spin', 'grow', 'shrink')
CLASSES = tuple(f'{shape}, {motion}' for shape, motion in itertools.product(SHAPES, MOTIONS))
NUM_STROKES = 2
SUBPIXEL_BITS = 4  # of cv2's fixed-point coordinates


def make_clips(
    num: int, rng: np.random.Generator, clip_len: int = 8, size: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """Draw clips of all classes, as many of each as ``num`` allows, in random order.

    Returns:
        Clips ``(num, clip_len, size, size, 3)`` uint8, and labels ``(num,)`` int64, indices into
        ``CLASSES``.
    """
    labels = rng.permutation(np.arange(num) % len(CLASSES))
    clips = np.empty((num, clip_len, size, size, 3), np.uint8)
    for clip, label in zip(clips, labels, strict=True):
        _draw_clip(clip, int(label), rng)
    return clips, labels


def _draw_clip(clip: np.ndarray, label: int, rng: np.random.Generator) -> None:
    clip_len, size = clip.shape[:2]
    shape, motion = divmod(label, len(MOTIONS))
    outline = _outline(SHAPES[shape])
    colour = rng.uniform(170, 255, 3)
    backgrounds = _backgrounds(clip_len, size, rng)
    for frame, background, (centre, radius, angle) in zip(
        clip, backgrounds, _poses(MOTIONS[motion], clip_len, size, rng), strict=True
    ):
        frame[:] = background
        turned = outline * np.exp(1j * angle) * radius
        points = np.stack([turned.real, turned.imag], 1) + centre
        fixed = np.round(points * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(frame, [fixed], colour.tolist(), cv2.LINE_AA, SUBPIXEL_BITS)


def _outline(shape: str) -> np.ndarray:
    """Corners on the complex plane, of about equal area."""
    if shape == 'triangle':
        return 1.3 * np.exp(2j * np.pi * np.arange(3) / 3)
    if shape == 'square':
        return 1.05 * np.exp(2j * np.pi * (np.arange(4) + 0.5) / 4)
    if shape == 'star':
        return np.tile([1.3, 0.6], 5) * np.exp(2j * np.pi * np.arange(10) / 10)
    arm, width = 1.2, 0.42
    corner = np.array([arm - 1j * width, arm + 1j * width, width + 1j * width])
    return np.concatenate([corner * 1j**quarter for quarter in range(4)])


def _poses(motion: str, clip_len: int, size: int, rng: np.random.Generator):
    """Centre in pixels, radius in pixels and angle in radians of each frame."""
    time = np.linspace(-0.5, 0.5, clip_len)
    centre = rng.uniform(0.42, 0.58, 2) * size
    radius = np.full(clip_len, rng.uniform(0.2, 0.28) * size)
    angle = np.full(clip_len, rng.uniform(0, 2 * np.pi))
    path = np.zeros((clip_len, 2))
    if motion == 'slide':
        heading = rng.uniform(0, 2 * np.pi)
        step = rng.uniform(0.25, 0.45) * size
        path = step * time[:, None] * (math.cos(heading), math.sin(heading))
    elif motion == 'spin':
        angle = angle + rng.choice((-1, 1)) * rng.uniform(1.2, 2.2) * time
    else:
        sign = 1 if motion == 'grow' else -1
        radius = radius * np.exp(sign * rng.uniform(0.5, 0.9) * time)
    return list(zip(centre + path, radius, angle, strict=True))


def _backgrounds(clip_len: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Windows ``(size, size, 3)`` that drift over a larger picture of noise and strokes."""
    margin = size // 4
    side = size + 2 * margin
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = rng.uniform(0, 60, 3)
    for _ in range(NUM_STROKES):
        ends = rng.integers(0, side, (2, 2))
        colour = rng.uniform(80, 150, 3).tolist()
        cv2.line(canvas, ends[0].tolist(), ends[1].tolist(), colour, int(rng.integers(1, 4)))
    drift = rng.uniform(-0.5, 0.5, 2) * margin
    starts = np.round(margin + np.linspace(-0.5, 0.5, clip_len)[:, None] * drift).astype(int)
    return [canvas[y : y + size, x : x + size] for y, x in starts]
