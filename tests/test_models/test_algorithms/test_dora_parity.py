"""DoRA's preset ``official`` against the figures of the authors' released code."""

from types import SimpleNamespace

import pytest
import torch

from mmvidssl.models.utils import apply_masks
from mmvidssl.registry import MODELS
from tests.references.reference_figures import (
    center_of,
    inputs_of,
    load_figures,
    model_cfg,
    our_name,
    role_weights,
)


def build(setup):
    model = MODELS.build(model_cfg(setup))
    state = {}
    for role, prefix in (('student', ''), ('teacher', 'teacher.')):
        weights = role_weights(setup, role)
        state.update({prefix + our_name(key): value for key, value in weights.items()})
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    gathered = {'target_generator.pass_sum', 'target_generator.num_passes'}
    assert set(missing) == {'target_generator.center', 'tracker.num_draws'} | gathered
    model.target_generator.center.copy_(center_of(setup))
    return model


@pytest.fixture(scope='module')
def step():
    """One training step's forward, backward and EMA update, taken apart."""
    setup, figures = load_figures('dora_small')
    model = build(setup).train()
    inputs = inputs_of(setup)
    tokens, logits = model.forward_teacher(inputs['global_clip'])
    track = model.tracker(tokens)
    losses = model.loss(inputs)
    sum(losses.values()).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    model.finish_step()
    center = model.target_generator.center.clone()
    with torch.no_grad():
        features = model.encode_student(apply_masks(inputs['global_clip'], track.masks))
        local_features = model.encode_student_locals(inputs['local_clips'])
        objects, local_views = model.project_student(features, local_features)
    model.update_teacher(1 - setup['ema_momentum'])
    return SimpleNamespace(**locals())


def close(ours, figure):
    torch.testing.assert_close(ours, figure.to(ours.dtype), atol=1e-5, rtol=0)


def test_teacher(step):
    close(step.logits, step.figures['teacher_logits'])
    close(step.tokens.patches, step.figures['teacher_patches'][0])
    close(step.tokens.class_attention, step.figures['cls_attention_first_frame'])
    close(step.tokens.query, step.figures['query_first_frame'])
    close(step.tokens.key, step.figures['key'])


def test_tracking(step):
    close(step.track.prototypes, step.figures['prototypes'])
    close(step.track.assignment, step.figures['assignment'])
    assert torch.equal(step.track.masks, step.figures['masks'])


def test_student(step):
    num_locals, batch = step.setup['num_locals'], step.setup['batch']
    close(step.objects, step.figures['student_object_logits'])
    # (T, V * B, K), view by view
    figure = step.figures['student_local_logits'].unflatten(1, (num_locals, batch))
    close(step.local_views, figure.transpose(0, 1))


def test_loss_and_center(step):
    total = sum(step.losses.values()).detach().double()
    close(total, step.figures['loss'])
    close(step.center, step.figures['center_after'])


def test_gradients(step):
    figures = step.setup['grad_norms']
    assert {our_name(key) for key in figures} == set(step.gradients)
    for key, figure in figures.items():
        assert step.gradients[our_name(key)].norm().item() == pytest.approx(figure, rel=1e-4), key


def test_teacher_after_its_update(step):
    teacher = dict(step.model.teacher.named_parameters())
    assert {our_name(key) for key in step.setup['ema_sums']} == set(teacher)
    for key, figure in step.setup['ema_sums'].items():
        assert teacher[our_name(key)].double().sum().item() == pytest.approx(figure, abs=1e-5), key
