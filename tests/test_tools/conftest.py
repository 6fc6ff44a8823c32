import importlib.util
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import init_model
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


@pytest.fixture
def tool(monkeypatch, capsys):
    """Calls ``main`` of ``tools/<name>.py`` in this process; gives exit code, stdout and stderr."""

    def run(name, *arguments):
        spec = importlib.util.spec_from_file_location(name, ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        # MMEngine's logger may still write to what an earlier test's output was captured with.
        monkeypatch.setattr(logging, 'raiseExceptions', False)
        code = module.main()
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def run_of(tmp_path):
    """Config and checkpoint of a method, as files."""

    def write(model_cfg, student_offset=0.0):
        cfg = Config(dict(default_scope='mmvidssl', model=model_cfg))
        cfg.dump(str(tmp_path / 'config.py'))
        state_dict = init_model(cfg).state_dict()
        for name, value in state_dict.items():
            if name.startswith('backbone.'):
                value.add_(student_offset)
        meta = dict(cfg=cfg.pretty_text)
        torch.save(dict(state_dict=state_dict, meta=meta), tmp_path / 'epoch_1.pth')
        return tmp_path / 'config.py', tmp_path / 'epoch_1.pth'

    return write
