from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger

from tests.utils_broken_video import public_folder
from tests.utils_video import write_video


@pytest.fixture(scope='session')
def video(tmp_path_factory) -> Path:
    """100 frames at 10 fps: 0, 0.1, ... 9.9 s."""
    return write_video(tmp_path_factory.mktemp('videos') / 'a.mp4', num_frames=100)


@pytest.fixture(scope='session')
def short_video(tmp_path_factory) -> Path:
    """40 frames at 10 fps: 0, 0.1, ... 3.9 s."""
    return write_video(tmp_path_factory.mktemp('videos') / 'b.mp4', num_frames=40)


@pytest.fixture
def public_path() -> Iterator[Path]:
    """As ``tmp_path``, for :func:`run_as_nobody`."""
    with public_folder() as path:
        yield path


@pytest.fixture
def warned(monkeypatch) -> list[str]:
    """Warnings that are logged."""
    messages: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', messages.append)
    return messages


@pytest.fixture(scope='session')
def clip() -> np.ndarray:
    """A colourful clip with smooth and sharp parts, uint8 (4, 48, 64, 3)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :64]
    smooth = np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], axis=-1)
    noise = rng.integers(0, 256, (4, 48, 64, 3))
    frames = np.where((x > 32)[..., None], noise, smooth)
    return frames.clip(0, 255).astype(np.uint8)
