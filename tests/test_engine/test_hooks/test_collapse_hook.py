"""Real runs that collapse in each way, and one that does not."""

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

from mmvidssl.registry import HOOKS
from tests.utils_run import tiny_cfg, train

GRACE, PATIENCE, NUM_ITERS = 2, 3, 12


class At(Hook):
    """Does something to the model before given iterations."""

    def __init__(self, actions):
        self.actions = actions

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter in self.actions:
            self.actions[runner.iter](runner.model)


def run(video, work_dir, actions, **options):
    """Lines that CollapseHook logged; nothing but ``actions`` sets the temperature."""
    cfg = tiny_cfg(video, work_dir)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=NUM_ITERS)
    cfg.param_scheduler = []
    cfg.optim_wrapper.optimizer.lr = 1e-4
    cfg.default_hooks.checkpoint = None
    cfg.log_processor = dict(by_epoch=False, window_size=1)
    # The heads of a model that has learned nothing all find one object.
    judge = dict(type='CollapseHook', window=1, patience=PATIENCE, grace=GRACE, max_overlap=1)
    cfg.custom_hooks = [dict(type='HealthHook', interval=1), {**judge, **options}]
    train(cfg, At(actions))
    (log,) = Path(work_dir).glob('*/*.log')
    lines = log.read_text().splitlines()
    return [line for line in lines if ' COLLAPSE (' in line or ' CollapseHook: ' in line]


def uniform(model):
    model.set_teacher_temp(100.0)


def sharp(model):
    model.set_teacher_temp(0.04)


def one_prototype(model):
    """What a center that does not move cannot prevent."""
    model.set_teacher_temp(1e-4)
    model.target_generator.center_momentum = 0.0
    model.target_generator.center[0, 3] = -10


def blind(model):
    """All frames look alike."""
    for backbone in (model.backbone, model.teacher.backbone):
        torch.nn.init.zeros_(backbone.patch_embed.projection.weight)


def test_a_healthy_run_is_quiet(video, tmp_path):
    assert run(video, tmp_path, {}) == []


def test_uniform_targets(video, tmp_path):
    (line,) = run(video, tmp_path, {4: uniform})
    since, now = 5, 5 + PATIENCE - 1
    assert f'COLLAPSE (uniform targets), seen since iteration {since}, now {now}: ' in line
    assert 'of at most ln K = 2.7726' in line
    assert 'a lower teacher_temp' in line


def test_one_prototype(video, tmp_path):
    (line,) = run(video, tmp_path, {4: one_prototype})
    assert 'COLLAPSE (one prototype), seen since iteration 5, now 7: ' in line
    assert 'a larger center_momentum, a higher teacher_temp' in line


def test_one_object(video, tmp_path):
    def see_all(model):
        model.tracker.threshold_maps = lambda maps: torch.ones_like(maps, dtype=torch.bool)

    def see_none(model):
        model.tracker.threshold_maps = lambda maps: torch.zeros_like(maps, dtype=torch.bool)

    lines = run(video, tmp_path, {0: see_none, 4: see_all, 8: see_none}, max_overlap=0.98)
    (line, *_) = [line for line in lines if 'one object' in line]
    assert 'COLLAPSE (one object), seen since iteration 5, now 7: ' in line
    assert 'overlap by 1.0000' in line


def test_rank(video, tmp_path):
    lines = run(video, tmp_path, {4: blind})
    told = {name for name in ('rank_teacher', 'rank_student') for x in lines if f'({name})' in x}
    assert told == {'rank_teacher', 'rank_student'}
    assert all('COLLAPSE' in line and 'since iteration 5' in line for line in lines)
    assert any('a lower learning rate' in line for line in lines)


def test_grace_is_not_judged(video, tmp_path):
    (line,) = run(video, tmp_path, {0: uniform}, grace=6)
    assert 'seen since iteration 7, now 9' in line


def test_a_short_event_is_not_told(video, tmp_path):
    assert run(video, tmp_path, {4: uniform, 6: sharp}) == []


def test_told_again_after_a_recovery(video, tmp_path):
    first, over, second = run(video, tmp_path, {2: uniform, 6: sharp, 8: uniform})
    assert 'since iteration 3, now 5' in first
    assert 'uniform targets, seen since iteration 3, is over at 7' in over
    assert 'since iteration 9, now 11' in second


def test_window_averages(video, tmp_path):
    """Ten measurements, nearly all of before, hide what three show."""
    assert run(video, tmp_path, {9: uniform}, window=10, patience=1) == []
    (line,) = run(video, tmp_path / 'short', {9: uniform}, window=1, patience=1)
    assert 'since iteration 10' in line


def test_stop(video, tmp_path):
    with pytest.raises(RuntimeError, match='uniform targets.* 5, now 7'):
        run(video, tmp_path, {4: uniform}, action='stop')


def test_needs_health(video, tmp_path):
    cfg = tiny_cfg(video, tmp_path)
    cfg.custom_hooks = [dict(type='CollapseHook')]
    cfg.default_hooks.pop('health', None)
    with pytest.raises(ValueError, match=r"Add dict\(type='HealthHook'\)"):
        train(cfg)


def examine(**options):
    """Names seen by a hook, one measurement after the other."""
    hook = HOOKS.build({'type': 'mmvidssl.CollapseHook', **options})

    def names(entropy=1.0, batch_entropy=2.0, rank=5.0):
        means = dict(
            teacher_entropy=entropy,
            teacher_kl=3.0 - entropy,
            teacher_batch_entropy=batch_entropy,
            rank_teacher=rank,
            rank_student=5.0,
        )
        return [symptom.name for symptom in hook.examine(means) if symptom.is_seen]

    return names


def test_sharp_targets_that_differ_are_healthy():
    assert examine()(entropy=0.0) == []
    assert examine()(entropy=0.0, batch_entropy=0.0) == ['one prototype']


def test_rank_is_compared_with_its_best():
    names = examine(rank_drop=0.25)
    assert names(rank=9.0) == []
    assert names(rank=3.1) == []  # 1 + 0.25 * (9 - 1) = 3
    assert names(rank=2.9) == ['rank_teacher']
    assert examine(rank_drop=0.25)(rank=2.9) == []
    assert examine(min_rank=0, rank_drop=0)(rank=1.0) == []


def test_predictions_that_are_all_alike_are_seen():
    hook = HOOKS.build(dict(type='mmvidssl.CollapseHook', min_spread=0.1))

    def names(**means):
        return [symptom.name for symptom in hook.examine(means) if symptom.is_seen]

    assert names(rank_tokens=9.0, spread=0.11, explained=0.2) == []
    assert names(rank_tokens=9.0, spread=0.09, explained=0.0) == ['one prediction']
    assert names(rank_tokens=1.0, spread=0.5) == ['rank_tokens']
    assert names(code_accuracy=0.1, rank_tokens=9.0) == []


def test_objects_that_are_one_are_seen_by_default():
    hook = HOOKS.build(dict(type='mmvidssl.CollapseHook'))

    def names(overlap):
        return [
            symptom.name for symptom in hook.examine(dict(mask_overlap=overlap)) if symptom.is_seen
        ]

    assert names(0.97) == [] and names(0.99) == ['one object']


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(action='halt'), "got 'halt'"),
        (dict(window=0), 'window >= 1'),
        (dict(patience=0), 'patience >= 1'),
        (dict(grace=-1), 'grace >= 0'),
        (dict(uniform_tol=1.0), 'uniform_tol is a share'),
        (dict(one_prototype_tol=-0.1), 'one_prototype_tol is a share'),
        (dict(rank_drop=2), 'rank_drop is a share'),
        (dict(min_spread=1), 'min_spread is a share'),
        (dict(max_overlap=1.5), 'max_overlap .* 1.5'),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        HOOKS.build({'type': 'mmvidssl.CollapseHook', **options})
