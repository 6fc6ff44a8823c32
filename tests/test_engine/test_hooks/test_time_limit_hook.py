"""Training that ends in time, and leaves its checkpoint."""

import pytest
import torch

from mmvidssl.engine.hooks import TimeLimitHook
from tests.utils_run import tiny_cfg, train


def iter_cfg(video, work_dir, seconds, max_iters):
    cfg = tiny_cfg(video, work_dir)
    cfg.train_cfg = dict(type='ResumableIterTrainLoop', max_iters=max_iters)
    cfg.default_hooks.checkpoint = dict(
        type='PlainCheckpointHook', by_epoch=False, interval=max_iters
    )
    cfg.custom_hooks.append(dict(type='TimeLimitHook', seconds=seconds))
    return cfg


def test_time_up_ends_training_with_a_checkpoint(video, tmp_path):
    runner = train(iter_cfg(video, tmp_path, seconds=1e-6, max_iters=5))
    assert runner.iter == 1
    state = torch.load(tmp_path / 'iter_1.pth', weights_only=True)
    assert state['meta']['iter'] == 1


def test_time_left_changes_nothing(video, tmp_path):
    cfg = iter_cfg(video, tmp_path, seconds=600, max_iters=2)
    assert train(cfg).iter == 2


def test_loops_that_count_epochs_are_refused(video, tmp_path):
    cfg = tiny_cfg(video, tmp_path)
    cfg.train_cfg.type = 'EpochBasedTrainLoop'
    cfg.custom_hooks.append(dict(type='TimeLimitHook', seconds=1))
    with pytest.raises(ValueError, match='which EpochBasedTrainLoop cannot'):
        train(cfg)


def test_no_time_at_all_is_refused():
    with pytest.raises(ValueError, match='positive'):
        TimeLimitHook(0)
