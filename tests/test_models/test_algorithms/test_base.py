"""Measuring and guarding a model leaves its training as it is."""

import math

import pytest
import torch

from mmvidssl.models.utils.health import effective_rank, second_moment
from mmvidssl.registry import MODELS
from tests.utils_model import NUM_PROTOTYPES, dino_cfg, dora_cfg, views

COMMON = {
    'teacher_entropy',
    'teacher_kl',
    'teacher_batch_entropy',
    'rank_teacher',
    'rank_student',
    'center_norm',
}
TRACKING = {'mask_coverage', 'mask_overlap', 'sinkhorn_residual'}
METHODS = pytest.mark.parametrize(
    'cfg, names', [(dino_cfg, COMMON), (dora_cfg, COMMON | TRACKING)], ids=['dino', 'dora']
)


def build(cfg, measure_health=True):
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.measure_health = measure_health
    return model


@METHODS
def test_measuring_changes_neither_losses_nor_gradients(cfg, names):
    results = []
    for measure in (False, True):
        model = build(cfg(), measure)
        losses = model.loss(views())
        sum(losses.values()).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        results.append((losses, gradients, set(model.health)))
    (losses, gradients, none), (measured, same_gradients, health) = results
    assert none == set() and health == names
    assert losses.keys() == measured.keys()
    assert all(torch.equal(losses[name], measured[name]) for name in losses)
    assert all(map(torch.equal, gradients, same_gradients))


@pytest.mark.parametrize('cfg, num_extra_globals', [(dino_cfg, 0), (dino_cfg, 1), (dora_cfg, 0)])
def test_health_is_what_it_says(cfg, num_extra_globals):
    model = build(cfg())
    inputs = views(num_extra_globals=num_extra_globals)
    clips = torch.stack([inputs['global_clip'], *inputs.get('extra_global_clips', [])])
    locals_ = torch.stack(inputs['local_clips'])
    model.loss(inputs)
    health = model.health
    assert all(v.shape == () and not v.requires_grad for v in health.values())
    total = health['teacher_entropy'] + health['teacher_kl']
    assert total.item() == pytest.approx(math.log(NUM_PROTOTYPES), rel=1e-5)
    assert health['teacher_entropy'] <= health['teacher_batch_entropy'] <= total
    assert health['center_norm'] == model.target_generator.center.norm()
    # Student and teacher still have the same weights.
    rank = effective_rank(second_moment(model.encode_student(clips)))
    torch.testing.assert_close(health['rank_teacher'], rank, rtol=1e-5, atol=0)
    if cfg is dino_cfg:
        seen = model.encode_student(clips if num_extra_globals else locals_)
        rank = effective_rank(second_moment(seen))
        torch.testing.assert_close(health['rank_student'], rank, rtol=1e-5, atol=0)
    else:
        assert health['rank_student'] > 1


def test_coverage_is_of_the_tracked_objects():
    heads = dict(type='mmvidssl.MultiObjectTracker', num_objects=2, heads=(1, 2))
    model = build(dora_cfg(tracker=heads))
    inputs = views()
    model.loss(inputs)
    masks = model.track(inputs['global_clip']).masks
    assert model.health['mask_coverage'] == masks.float().mean()


def test_without_sinkhorn_there_is_no_residual():
    tracker = dict(type='mmvidssl.MultiObjectTracker', num_objects=2, use_sinkhorn=False)
    model = build(dora_cfg(tracker=tracker))
    model.loss(views())
    assert set(model.health) == COMMON | TRACKING - {'sinkhorn_residual'}


def test_collapses_are_seen():
    model = build(dora_cfg())
    model.set_teacher_temp(1e6)
    model.loss(views())
    assert model.health['teacher_kl'].item() == pytest.approx(0, abs=1e-5)

    model.set_teacher_temp(1e-6)
    model.target_generator.center.zero_()
    model.target_generator.center[0, 3] = -100
    model.loss(views())
    assert model.health['teacher_batch_entropy'].item() == pytest.approx(0, abs=1e-5)

    for backbone in (model.backbone, model.teacher.backbone):
        torch.nn.init.zeros_(backbone.patch_embed.projection.weight)
    model.loss(views())
    assert model.health['rank_teacher'].item() == pytest.approx(1, abs=1e-3)
    assert model.health['rank_student'].item() == pytest.approx(1, abs=1e-3)
