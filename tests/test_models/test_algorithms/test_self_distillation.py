"""What DINO and DoRA share, and each on its own."""

import pytest
import torch

from mmvidssl.models.algorithms.dora_presets import PRESETS
from mmvidssl.models.utils import TrackResult, clip_to_frames
from mmvidssl.registry import MODELS
from tests.references import naive
from tests.utils_model import backbone_cfg, dino_cfg, dora_cfg, noise, views

METHODS = pytest.mark.parametrize('cfg', [dino_cfg, dora_cfg], ids=['dino', 'dora'])


def build(cfg, seed=0):
    torch.manual_seed(seed)
    return MODELS.build(cfg)


def values(module):
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def student_of(model):
    return {k: v for k, v in values(model).items() if not k.startswith('teacher.')}


def same(first, second):
    assert first.keys() == second.keys()
    return [name for name in first if torch.equal(first[name], second[name])]


@METHODS
def test_loss_is_finite_and_reaches_every_trained_parameter(cfg):
    model = build(cfg())
    losses = model.loss(views())
    assert all(name.startswith('loss') for name in losses)
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.isfinite().all() and parameter.grad.any(), name
        else:
            assert parameter.grad is None, name


@METHODS
def test_a_step_moves_the_student_alone_and_then_the_teacher_follows(cfg):
    model = build(cfg())
    student, teacher = student_of(model), values(model.teacher)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    sum(model.loss(views()).values()).backward()
    optimizer.step()
    moved = student_of(model)
    assert same(student, moved) == ['neck.last_layer.parametrizations.weight.original0']
    assert len(same(teacher, values(model.teacher))) == len(teacher)

    model.update_teacher(0.25)
    for name, value in model.teacher.named_parameters():
        torch.testing.assert_close(value.data, 0.75 * teacher[name] + 0.25 * moved[name])


@METHODS
def test_teacher_starts_as_a_copy_without_drop_path(cfg):
    model = build(cfg(backbone=backbone_cfg(drop_path_rate=0.5)))
    assert len(same(student_of(model), values(model.teacher))) == len(values(model.teacher))
    model.init_weights()
    assert len(same(student_of(model), values(model.teacher))) == len(values(model.teacher))
    rates = [m.drop_prob for m in model.teacher.modules() if hasattr(m, 'drop_prob')]
    assert not any(rates)
    assert any(getattr(m, 'drop_prob', 0) for m in model.backbone.modules())


@METHODS
def test_teacher_stays_in_evaluation_mode(cfg):
    model = build(cfg())
    for module in (model, model.train(), model.eval().train()):
        assert module.training and module.backbone.training
        assert not any(part.training for part in module.teacher.modules())
        assert not any(p.requires_grad for p in module.teacher.parameters())


def test_teacher_starts_from_the_pretrained_backbone(tmp_path):
    source = build(dino_cfg(), seed=1).backbone.state_dict()
    torch.save(source, tmp_path / 'vit.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'vit.pth'))
    model = build(dora_cfg(backbone=backbone_cfg(init_cfg=init_cfg)))
    model.init_weights()
    for backbone in (model.backbone, model.teacher.backbone):
        assert all(torch.equal(backbone.state_dict()[k], v) for k, v in source.items())


def test_weights_without_a_teacher_are_for_both():
    source, model = build(dino_cfg(), seed=1), build(dora_cfg())
    student = {k: v for k, v in source.state_dict().items() if k.startswith('backbone.')}
    missing, unexpected = model.load_state_dict(student, strict=False)
    assert not unexpected and not [name for name in missing if 'backbone' in name]
    for key, value in student.items():
        assert torch.equal(model.state_dict()[key], value)
        assert torch.equal(model.state_dict()[f'teacher.{key}'], value)


def test_a_stated_teacher_is_kept():
    source, model = build(dino_cfg(), seed=1), build(dino_cfg())
    source.teacher.backbone.cls_token.data += 1
    model.load_state_dict(source.state_dict())
    difference = model.teacher.backbone.cls_token - model.backbone.cls_token
    torch.testing.assert_close(difference, torch.ones_like(difference))


@METHODS
def test_modes(cfg):
    model = build(cfg()).eval()
    inputs = views()
    features = model(inputs, mode='tensor')
    assert features.shape == (2, 3, 24)  # B, T, D
    frames = clip_to_frames(inputs['global_clip'])
    expected = model.teacher.backbone(frames)[0].unflatten(0, (3, 2)).transpose(0, 1)
    torch.testing.assert_close(features, expected)
    assert torch.equal(model(dict(clip=inputs['global_clip'])), features)
    assert set(model(inputs, mode='loss')) == set(model.loss(inputs))
    with pytest.raises(ValueError, match="got 'train'"):
        model(inputs, mode='train')


def test_all_views_are_projected_at_once():
    """With batch norm, all share its statistics, as in DINO's released code."""
    cfg = dino_cfg()
    cfg['neck'].update(use_bn=True)
    many, few = noise(2, 4, 3, 24), noise(1, 4, 3, 24, seed=1)
    model = build(cfg).train()
    one, none, other = model.project_student(many, None, few)
    assert none is None and one.shape == (2, 4, 3, 16) and other.shape == (1, 4, 3, 16)
    torch.testing.assert_close(torch.cat((one, other)), model.neck(torch.cat((many, few))))


def test_student_views_keep_their_order():
    model = build(dino_cfg()).eval()
    clips = noise(2, 3, 3, 4, 16, 16)  # V, B, C, T, h, w
    (logits,) = model.project_student(model.encode_student(clips))
    assert logits.shape == (2, 4, 3, 16)
    for v in range(2):
        for t in range(4):
            frame = model.neck(model.backbone(clips[v, :, :, t])[-1])
            torch.testing.assert_close(logits[v, t], frame, atol=1e-5, rtol=1e-5)


@METHODS
@pytest.mark.parametrize(
    'change, message',
    [
        (dict(global_clip=noise(2, 3, 32, 32)), r'global clip 0 .*\(2, 3, 32, 32\)'),
        (dict(local_clips=[noise(2, 3, 2, 16, 16)]), r'local clip 0 .*3, 2, 16, 16\)'),
        (
            dict(local_clips=[noise(2, 3, 3, 16, 16), noise(2, 3, 3, 8, 8)]),
            r'local clip 1 .*3, 3, 8, 8\)',
        ),
        (dict(global_clip=noise(2, 3, 3, 30, 30)), '30x30'),
    ],
    ids=['no time', 'other clip_len', 'other size', 'not divisible'],
)
def test_refuses_wrong_shapes(cfg, change, message):
    with pytest.raises(ValueError, match=message):
        build(cfg()).loss({**views(), **change})


def test_refuses_inputs_without_a_global_clip():
    with pytest.raises(ValueError, match="'global_clip'.*'clip'"):
        build(dino_cfg()).loss(dict(clip=noise(2, 3, 3, 32, 32)))


@pytest.mark.parametrize('num_extra', [0, 1])
def test_dino_equals_the_loop_over_pairs(num_extra):
    model = build(dino_cfg())
    inputs = views(num_locals=2, num_extra_globals=num_extra)
    global_clips = [inputs['global_clip'], *inputs.get('extra_global_clips', [])]
    with torch.no_grad():
        teacher = [
            model.teacher.neck(model.teacher.backbone(clip_to_frames(c))[-1]) for c in global_clips
        ]
        targets = [(logits / 0.04).softmax(-1).unflatten(0, (3, 2)) for logits in teacher]
        student = [
            model.neck(model.backbone(clip_to_frames(clip))[-1]).unflatten(0, (3, 2))
            for clip in [*global_clips, *inputs['local_clips']]
        ]
    if not num_extra:
        student[0] = None
    total = sum(model.loss(inputs).values()).detach()
    expected = naive.dino_loss(student, targets)
    torch.testing.assert_close(total.double(), expected, atol=1e-4, rtol=1e-4)
    model.finish_step()
    center = 0.1 * torch.cat(teacher).mean(0, keepdim=True)
    torch.testing.assert_close(model.target_generator.center, center)


def test_refuses_other_numbers_of_views():
    with pytest.raises(ValueError, match='num_local_views'):
        build(dino_cfg()).loss(views(num_locals=0))
    with pytest.raises(ValueError, match='num_global_views=1'):
        build(dora_cfg()).loss(views(num_extra_globals=1))


def test_dora_without_local_crops():
    assert set(build(dora_cfg()).loss(views(num_locals=0))) == {'loss_object'}


def test_dora_tracks_without_drawing():
    model = build(dora_cfg()).eval()
    track = model(views(), mode='predict')
    assert isinstance(track, TrackResult)
    assert track.masks.shape == (2, 2, 3, 4, 4)
    assert track.heads == (0, 1)
    assert model.tracker.num_draws == 0


@pytest.mark.parametrize('preset', ['paper', 'official'])
def test_presets_are_the_options_they_name(preset):
    model = build(dora_cfg(preset=preset))
    parts = dict(backbone=model.backbone, tracker=model.tracker, head=model.head)
    for name, options in PRESETS[preset].items():
        for key, value in options.items():
            assert getattr(parts[name], key) == value
    assert model.teacher.backbone.interpolate_offset == model.backbone.interpolate_offset


def test_presets_give_different_losses():
    losses = {
        preset: sum(build(dora_cfg(preset=preset)).loss(views()).values())
        for preset in (None, 'paper', 'official')
    }
    assert torch.equal(losses[None], losses['paper'])
    assert not torch.allclose(losses['paper'], losses['official'])


def test_preset_and_stated_option_must_agree():
    tracker = dict(type='mmvidssl.MultiObjectTracker', num_objects=2, threshold='map')
    with pytest.raises(ValueError, match="threshold='batch'.*'map'"):
        build(dora_cfg(preset='official', tracker=tracker))
    build(dora_cfg(preset='paper', tracker=tracker))


def test_building_leaves_the_config():
    cfg = dora_cfg(preset='official')
    before = repr(cfg)
    build(cfg)
    assert repr(cfg) == before


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(preset='offical'), "'offical'"),
        (
            dict(tracker=dict(type='mmvidssl.MultiObjectTracker', num_objects=5)),
            'num_objects=5, .* 4',
        ),
        (dict(neck=dict(dora_cfg()['neck'], num_prototypes=12)), 'num_prototypes=16, .*=12'),
        (dict(neck=dict(dora_cfg()['neck'], in_channels=12)), 'in_channels=12, .*=24'),
        (dict(backbone=backbone_cfg(out_type='featmap')), "'cls_token', not 'featmap'"),
        (dict(backbone=backbone_cfg(out_type='raw')), "'cls_token', not 'raw'"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(dora_cfg(**changes))
