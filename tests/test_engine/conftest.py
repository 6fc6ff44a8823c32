from pathlib import Path

import pytest

from tests.utils_video import write_video


@pytest.fixture(scope='session')
def video(tmp_path_factory) -> Path:
    """30 frames at 10 fps."""
    return write_video(tmp_path_factory.mktemp('videos') / 'video.mp4')
