import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.utils_video import write_video

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='session')
def video(tmp_path_factory) -> Path:
    """30 frames at 10 fps."""
    return write_video(tmp_path_factory.mktemp('videos') / 'video.mp4')


@pytest.fixture
def shell():
    """Runs a command in the checkout's root or ``cwd``; ``python`` is this interpreter."""

    def run(*command, timeout=240, cwd=ROOT, **variables) -> subprocess.CompletedProcess:
        env = {
            **os.environ,
            'PYTHONPATH': str(ROOT),
            'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
            'OMP_NUM_THREADS': '1',
            'CUDA_VISIBLE_DEVICES': '-1',
            **variables,
        }
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=env,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
