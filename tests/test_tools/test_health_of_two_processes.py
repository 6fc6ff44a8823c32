"""Two processes see the same health, and a NaN on one ends both."""

import json
import os
import socket
from pathlib import Path

import pytest
import torch

from tests.utils_run import TINY_CONFIG

ROOT = Path(__file__).parents[2]
HOOKS = """
import json
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class BreakInputOfRank1Hook(Hook):
    priority = 'LOWEST'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2 and runner.rank == 1:
            views = data_batch['inputs']['local_clips']
            views[0] = [torch.full(clip.shape, torch.nan) for clip in views[0]]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        own = {name: value.item() for name, value in runner.model.module.health.items()}
        logged = {name: runner.message_hub.get_scalar(f'train/{name}').current() for name in own}
        path = Path(runner.work_dir).parent / f'health_{runner.iter}_rank{runner.rank}.json'
        path.write_text(json.dumps([own, logged]))
"""


@pytest.mark.slow
def test_two_processes(shell, video, tmp_path):
    (tmp_path / 'breaking_hook.py').write_text(HOOKS)
    config = tmp_path / 'two.py'
    config.write_text(
        f"""_base_ = '{TINY_CONFIG}'
custom_imports = dict(imports=['breaking_hook'])
train_dataloader = dict(sampler=dict(num_samples_per_epoch=16), dataset=dict(videos=['{video}']))
custom_hooks = [
    dict(type='HealthHook', interval=1),
    dict(type='NaNGuardHook'),
    dict(type='BreakInputOfRank1Hook'),
]
"""
    )
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    work_dir = tmp_path / 'run'
    result = shell(
        *('bash', 'tools/dist_train.sh', config, 2, '--work-dir', work_dir),
        PORT=port,
        PYTHONPATH=f'{ROOT}{os.pathsep}{tmp_path}',
        timeout=120,
    )
    assert result.returncode != 0
    assert 'iteration 3: the losses are loss=nan' in result.stderr
    assert 'iteration 3: the losses of another process are not finite' in result.stderr
    (saved,) = work_dir.glob('nan_iter_*')
    assert saved.name == 'nan_iter_3_rank1.pth'
    assert torch.load(saved, weights_only=True)['random_state']['rank'] == 1

    for iteration in range(2):
        files = [tmp_path / f'health_{iteration}_rank{rank}.json' for rank in range(2)]
        (own, logged), (others, same) = (json.loads(file.read_text()) for file in files)
        # Of the clips of both; tests/test_engine/test_loops/test_two_processes.py has the numbers.
        assert logged == same
        assert own == others == pytest.approx(logged, rel=1e-5, abs=1e-6)
