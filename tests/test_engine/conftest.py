from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.utils_video import write_video


@pytest.fixture(scope='session')
def video(tmp_path_factory) -> Path:
    """30 frames at 10 fps."""
    return write_video(tmp_path_factory.mktemp('videos') / 'video.mp4')


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Spare the two seconds that MMEngine waits between epochs of an ``IterBasedTrainLoop``."""
    clock = SimpleNamespace(sleep=lambda seconds: None)
    monkeypatch.setattr('mmengine.runner.loops.time', clock)
