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
    # Over all processes; the center, which plays no part in it, is gathered all the same.
    model=dict(target_generator=dict(centering='sinkhorn_knopp')),
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


def write_config(path, options):
    path.write_text(
        f"_base_ = '{TINY_CONFIG}'\n"
        + '\n'.join(f'{key} = {value!r}' for key, value in options.items())
    )
    return path


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

    options = dict(OPTIONS, train_dataloader=dict(batch_size=1, dataset=dict(videos=[str(video)])))
    launch(write_config(tmp_path / 'two.py', options), tmp_path / 'two')
    assert_close(whole, load(tmp_path / 'two' / f'iter_{NUM_ITERS}.pth'))

    # What two began, in the middle of an accumulation, one goes on with.
    begun = str(tmp_path / 'two' / 'iter_3.pth')
    assert 'gradients' in load(begun)
    assert_close(whole, one_process(video, tmp_path / 'on', resume=True, load_from=begun))


HEALTH = ['teacher_entropy', 'teacher_kl', 'teacher_batch_entropy', 'rank_teacher', 'rank_student']
HEALTH += ['center_norm', 'mask_coverage', 'mask_overlap', 'sinkhorn_residual', 'grad_norm']
BIG_STEPS = dict(
    OPTIONS,
    # Both draws: of heads, which give the objects, and of places for patches of their masks.
    model=dict(masking='random'),
    auto_scale_lr=dict(enable=False),
    # No LinearLR: MMEngine's is complete one iteration early, of which a step has several.
    param_scheduler=[
        dict(
            type='CosineAnnealingLR',
            eta_min=0.001,
            T_max=2,
            end=2,
            by_epoch=True,
            convert_to_iter_based=True,
        )
    ],
    custom_hooks=[
        dict(type='TeacherMomentumHook', momentum=0.3),
        dict(type='TeacherTempHook', teacher_temp=0.06, warmup_epochs=2),
        dict(type='FreezeLastLayerHook', num_epochs=1),
        dict(type='HealthHook', interval=1),
    ],
    default_hooks=dict(checkpoint=dict(interval=2)),
)


def eight_clips_a_step(video, batch_size, num_passes=1):
    """Two epochs of three steps."""
    loader = dict(batch_size=batch_size, sampler=dict(num_samples_per_epoch=24))
    wrapper = dict(OPTIONS['optim_wrapper'], accumulative_counts=num_passes)
    wrapper['optimizer'] = dict(wrapper['optimizer'], lr=0.05)
    loader['dataset'] = dict(videos=[str(video)])
    return copy.deepcopy(dict(BIG_STEPS, optim_wrapper=wrapper, train_dataloader=loader))


@pytest.mark.slow
def test_four_passes_are_one_batch_are_two_processes(video, tmp_path):
    for name, sizes in dict(whole=(8,), passes=(2, 4)).items():
        cfg = tiny_cfg(video, tmp_path / name)
        cfg.merge_from_dict(eight_clips_a_step(video, *sizes))
        train(cfg)
    launch(write_config(tmp_path / 'two.py', eight_clips_a_step(video, 4)), tmp_path / 'two')

    whole, *others = (load(tmp_path / name / 'epoch_2.pth') for name in ('whole', 'passes', 'two'))
    for other in others:
        assert_close(whole, other)
        assert other['state_dict']['tracker.num_draws'] == 6
        histories = [run['message_hub']['log_scalars'] for run in (whole, other)]
        for name in [*HEALTH, 'teacher_momentum']:
            values, same = (h[f'train/{name}']['history_buffer']['values'] for h in histories)
            torch.testing.assert_close(same, values, atol=1e-4, rtol=1e-3, msg=name)
            assert len(values) == 6
