"""DoRA's preset ``official`` against the figures of the authors' released code."""

from types import SimpleNamespace

import pytest
import torch

from mmvidssl.models.utils import apply_masks
from mmvidssl.registry import MODELS
from tests.references.reference_figures import (
    load_figures,
    named_noise,
    named_weights,
    our_name,
)


def build(setup):
    arch = dict(
        embed_dims=setup['dim'],
        num_layers=setup['depth'],
        num_heads=setup['heads'],
        feedforward_channels=4 * setup['dim'],
    )
    model = MODELS.build(
        dict(
            type='mmvidssl.DoRA',
            preset='official',
            backbone=dict(
                type='mmvidssl.DINOViT',
                arch=arch,
                img_size=setup['img'],
                patch_size=setup['patch'],
            ),
            neck=dict(
                type='mmvidssl.DINONeck',
                in_channels=setup['dim'],
                num_prototypes=setup['out_dim'],
                hidden_channels=setup['hidden'],
                bottleneck_channels=setup['bottleneck'],
                norm_last_layer=False,
            ),
            tracker=dict(
                type='mmvidssl.MultiObjectTracker',
                num_objects=len(setup['selected_heads']),
                heads=setup['selected_heads'],
            ),
            target_generator=dict(
                type='mmvidssl.DistillationTargetGenerator',
                num_prototypes=setup['out_dim'],
                center_momentum=1 - setup['center_momentum'],
                teacher_temp=setup['teacher_temp'],
            ),
            head=dict(
                type='mmvidssl.DoRAHead',
                loss=dict(type='mmvidssl.DINOLoss', student_temp=setup['student_temp']),
            ),
        )
    )
    state = {}
    for role, prefix in (('student', ''), ('teacher', 'teacher.')):
        weights = named_weights(setup['student_keys'], f'{setup["salt"]}{role}.')
        state.update({prefix + our_name(key): value for key, value in weights.items()})
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert set(missing) == {'target_generator.center', 'tracker.num_draws'}
    center = named_noise(setup['salt'] + 'center', (1, setup['out_dim']))
    model.target_generator.center.copy_(0.1 * center)
    return model


def inputs_of(setup):
    def clip(name, size):
        shape = (setup['batch'], setup['frames'], 3, size, size)
        return named_noise(setup['salt'] + name, shape).transpose(1, 2)

    local_clips = [clip(f'local{i}', setup['local']) for i in range(setup['num_locals'])]
    return dict(global_clip=clip('global', setup['img']), local_clips=local_clips)


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
    center = model.target_generator.center.clone()
    with torch.no_grad():
        objects = model.forward_student(apply_masks(inputs['global_clip'], track.masks))
        local_views = model.forward_student_locals(inputs['local_clips'])
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
