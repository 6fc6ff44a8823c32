"""Checks of transforms' settings, made when a transform is built."""

from collections.abc import Sequence


def check_prob(name: str, value: float) -> float:
    """A number in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f'{name} must be a probability in [0, 1], got {value}')
    return value


def check_range(name: str, value: Sequence[float], lowest: float = 0.0) -> tuple[float, float]:
    """Two numbers, ``lowest < first <= second``."""
    if len(value) != 2 or not lowest < value[0] <= value[1]:
        raise ValueError(f'{name} must be (low, high) with {lowest} < low <= high, got {value}')
    return float(value[0]), float(value[1])


def check_size(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """A size in pixels, an int for a square, as ``(height, width)``."""
    size = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f'{name} must be a positive int or (height, width), got {value}')
    return size
