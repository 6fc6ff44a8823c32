"""Two processes with half the batch each do what one does with the whole."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.utils_run import TINY_CONFIG, tiny_cfg, train

ROOT = Path(__file__).parents[3]
NUM_ITERS = 8
# Adam divides gradients by their size, rounding errors included; SGD leaves them small.
OPTIONS = dict(
    optim_wrapper=dict(
        type='PerParamClipOptimWrapper',
        optimizer=dict(_delete_=True, type='SGD', lr=6.4, momentum=0.9, weight_decay=0.04),
        clip_grad=dict(max_norm=0.3),
        accumulative_counts=2,
    ),
    train_cfg=dict(type='ResumableEpochTrainLoop', max_epochs=2),
    default_hooks=dict(checkpoint=dict(by_epoch=False, interval=3, max_keep_ckpts=-1)),
    custom_hooks=[
        dict(type='TeacherMomentumHook', momentum=0.3),
        dict(type='FreezeLastLayerHook', num_epochs=3, by_epoch=False, max_share=1.0),
    ],
)


def load(path):
    return torch.load(path, weights_only=True)


def launch(config, work_dir):
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command += ['tools/train.py', config, '--launcher', 'pytorch', '--work-dir', work_dir]
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='-1')
    result = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]


def one_process(video, work_dir, **options):
    cfg = tiny_cfg(video, work_dir, **options)
    cfg.merge_from_dict(copy.deepcopy(OPTIONS))  # it takes entries out
    train(cfg)
    return load(work_dir / f'iter_{NUM_ITERS}.pth')


def assert_close(first, second):
    for name, value in first['state_dict'].items():
        torch.testing.assert_close(second['state_dict'][name], value, atol=2e-5, rtol=1e-4)
    assert first['train_loop']['num_samples'] == second['train_loop']['num_samples']


@pytest.mark.slow
def test_as_one_with_the_whole_batch(video, tmp_path):
    whole = one_process(video, tmp_path / 'one')
    start, end = load(tmp_path / 'one' / 'iter_3.pth')['state_dict'], whole['state_dict']
    for name in ('target_generator.center', 'teacher.backbone.pos_embed', 'neck.mlp.0.weight'):
        assert (end[name] - start[name]).abs().max() > 1e-3, name  # far beyond the tolerance

    config = tmp_path / 'two.py'
    config.write_text(
        f"""_base_ = '{TINY_CONFIG}'
train_dataloader = dict(batch_size=1, dataset=dict(videos=['{video}']))
"""
        + '\n'.join(f'{key} = {value!r}' for key, value in OPTIONS.items())
    )
    launch(config, tmp_path / 'two')
    assert_close(whole, load(tmp_path / 'two' / f'iter_{NUM_ITERS}.pth'))

    # What two began, in the middle of an accumulation, one goes on with.
    begun = str(tmp_path / 'two' / 'iter_3.pth')
    assert 'gradients' in load(begun)
    assert_close(whole, one_process(video, tmp_path / 'on', resume=True, load_from=begun))
