from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from tests.utils_video import write_video


@pytest.fixture(scope='session')
def video(tmp_path_factory) -> Path:
    """30 frames at 10 fps."""
    return write_video(tmp_path_factory.mktemp('videos') / 'video.mp4')


@pytest.fixture(scope='module', autouse=True)
def scope():
    """Runners set the default scope of the process; put it back."""
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)
