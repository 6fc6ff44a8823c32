"""Fitting a config's schedule to a number of iterations."""

import pytest
from mmengine.config import Config

from mmvidssl.apis.quickstart import set_max_iters


def make_config():
    return Config(
        dict(
            train_cfg=dict(type='ResumableIterTrainLoop', max_iters=300),
            param_scheduler=[
                dict(type='LinearLR', by_epoch=False, begin=0, end=30),
                dict(type='CosineAnnealingLR', by_epoch=False, begin=30, end=300, T_max=270),
                dict(type='MultiStepLR', by_epoch=True, begin=0, end=10),
            ],
            custom_hooks=[
                dict(type='TeacherTempHook', warmup_epochs=60, by_epoch=False),
                dict(type='TeacherTempHook', warmup_epochs=60),
                dict(type='CollapseHook', grace=30),
            ],
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=5),
                logger=dict(type='LoggerHook', interval=10),
            ),
        )
    )


def test_everything_counted_in_iterations_is_scaled_and_nothing_else():
    cfg = make_config()
    set_max_iters(cfg, 100)
    assert cfg.train_cfg.max_iters == 100
    warmup, cosine, steps = cfg.param_scheduler
    assert (warmup.begin, warmup.end) == (0, 10)
    assert (cosine.begin, cosine.end, cosine.T_max) == (10, 100, 90)
    assert steps.end == 10
    assert [h.warmup_epochs for h in cfg.custom_hooks[:2]] == [20, 60]
    assert cfg.custom_hooks[2].grace == 10
    assert cfg.default_hooks.checkpoint.interval == 25
    assert cfg.default_hooks.checkpoint.by_epoch is False
    assert cfg.default_hooks.logger.interval == 3


def test_no_length_becomes_zero():
    cfg = make_config()
    set_max_iters(cfg, 3)
    assert (cfg.param_scheduler[0].end, cfg.param_scheduler[1].begin) == (1, 1)


def test_a_single_scheduler_and_none_at_all_are_fine():
    cfg = make_config()
    cfg.param_scheduler = cfg.param_scheduler[1]
    set_max_iters(cfg, 30)
    assert cfg.param_scheduler.T_max == 27
    cfg = Config(dict(train_cfg=dict(max_iters=10)))
    set_max_iters(cfg, 5)
    assert cfg.train_cfg.max_iters == 5


def test_a_config_in_epochs_is_refused():
    with pytest.raises(ValueError, match='max_iters'):
        set_max_iters(Config(dict(train_cfg=dict(by_epoch=True, max_epochs=3))), 5)
