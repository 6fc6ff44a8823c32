"""What a whole model takes from a checkpoint, and what it refuses."""

import pytest
import torch
from torch import nn

from mmvidssl.engine import examine_start
from mmvidssl.models.utils import resize_pos_embed
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, dora_cfg, noise


class Classifier(nn.Module):
    """One backbone, as any library would put it into a model."""

    def __init__(self, backbone=None, classes=3):
        super().__init__()
        self.backbone = MODELS.build(backbone or backbone_cfg())
        self.head = nn.Linear(24, classes)


def state_of(model):
    """Weights that are all different from any other's."""
    return {
        name: value + noise(*value.shape, seed=number) if value.ndim else value
        for number, (name, value) in enumerate(model.state_dict().items())
    }


@pytest.fixture(scope='module')
def dora():
    """Of a run of DoRA: student and teacher."""
    return state_of(MODELS.build(dora_cfg()))


def load(model, state, **options):
    """As the hooks and ``init_model`` do; gives the log's line."""
    start = examine_start(model, state, 'file.pth', **options)
    checkpoint = dict(state_dict=dict(state))
    start.filter_checkpoint_(checkpoint)
    model.load_state_dict(checkpoint['state_dict'], strict=False)
    return start.report()


def refusal(model, state, **options):
    with pytest.raises(ValueError) as error:
        load(model, state, **options)
    return str(error.value)


@pytest.mark.parametrize('wrapper', ['', 'module.'])
@pytest.mark.parametrize(
    'role, prefix',
    [
        (None, 'teacher.backbone.'),
        ('teacher', 'teacher.backbone.'),
        ('student', 'backbone.'),
    ],
)
def test_one_backbone_takes_the_teachers_unless_told_otherwise(dora, role, prefix, wrapper):
    model = Classifier()
    head = model.head.weight.detach().clone()
    line = load(model, {f'{wrapper}{k}': v for k, v in dora.items()}, role=role)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, dora[prefix + name]), name
    assert torch.equal(model.head.weight, head)
    assert f"takes the {role or 'teacher'}'s. backbone: 30 of 30 tensors loaded" in line
    assert f'(prefix {prefix!r})' in line
    assert ('also in the file: teacher.backbone.' in line) == (role == 'student')


def test_bare_state_dicts_are_arranged_too(dora):
    checkpoint = dict(dora)
    examine_start(Classifier(), checkpoint, 'file.pth').filter_checkpoint_(checkpoint)
    assert checkpoint.keys() == {f'backbone.{k}' for k in Classifier().backbone.state_dict()}


def test_a_model_with_both_takes_both(dora):
    model = MODELS.build(dora_cfg())
    load(model, dora, role='student')
    assert all(torch.equal(value, dora[name]) for name, value in model.state_dict().items())


def test_one_backbone_is_for_student_and_teacher(dora):
    model = MODELS.build(dora_cfg())
    line = load(model, {k: v for k, v in dora.items() if k.startswith('backbone.')})
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, dora[f'backbone.{name}']), name
        assert torch.equal(model.teacher.backbone.state_dict()[name], value), name
    assert '30 renamed (backbone.cls_token as teacher.backbone.cls_token' in line
    assert 'missing (neck.' in line


def test_only_backbone_whatever_role(dora):
    published = {k: v for k, v in dora.items() if k.startswith('backbone.')}
    for role in (None, 'teacher', 'student'):
        line = load(Classifier(), published, role=role)
        assert line.startswith('model: 30 of 32 tensors') and '2 missing (head.weight' in line


def test_no_such_role(dora):
    teacher = {k: v for k, v in dora.items() if k.startswith('teacher.')}
    assert 'no student backbone' in refusal(Classifier(), teacher, role='student')
    assert "'both'" in refusal(Classifier(), dora, role='both')


def test_a_test_needs_every_tensor(dora):
    message = refusal(Classifier(), dora, is_whole=True)
    assert '2 of its 32 tensors' in message and 'head.weight: missing' in message
    line = load(Classifier(), state_of(Classifier()), is_whole=True)
    assert line.startswith('model: 32 of 32 tensors loaded')


def test_heads_may_be_absent_but_not_of_another_size():
    state = state_of(Classifier(classes=5))
    message = refusal(Classifier(), state)
    assert 'head.weight: 5x24 in the file, 3x24 in the model' in message
    assert '2 mismatched (head.weight' in load(Classifier(), state, allow_new=['head.*'])


def test_a_backbone_must_be_there_whole():
    state = state_of(Classifier())
    del state['backbone.layers.1.ln1.bias']
    assert 'backbone.layers.1.ln1.bias: missing' in refusal(Classifier(), state)
    assert '32 of its 32 tensors' in refusal(Classifier(), {'conv1.weight': torch.zeros(1)})
    wider = backbone_cfg(patch_size=4)
    message = refusal(Classifier(), state_of(Classifier(wider)))
    assert 'projection.weight: 24x3x4x4 in the file, 24x3x8x8 in the model' in message


def test_a_foreign_file_does_not_pass_for_a_batch_norms_counter():
    model = Classifier()
    model.head = nn.Sequential(nn.BatchNorm1d(24), nn.Linear(24, 3))
    message = refusal(model, {'conv1.weight': torch.zeros(1)})
    assert '36 of its 36 tensors' in message


def test_a_deeper_backbone_is_refused(dora):
    arch = dict(embed_dims=24, num_layers=1, num_heads=4, feedforward_channels=48)
    shallow = Classifier(backbone_cfg(arch=arch))
    assert 'layers.1.*: unexpected, of a deeper model' in refusal(shallow, dora)


def test_what_is_allowed_to_be_new(dora):
    model = Classifier(backbone_cfg(out_type='avg_featmap', final_norm=False))
    assert 'ln2.bias: missing' in refusal(model, dora)
    assert '2 missing (ln2.weight, ln2.bias)' in load(model, dora, allow_new=['ln2.*'])
    # Under the names of the whole model as well.
    student = {k: v for k, v in dora.items() if k.startswith('backbone.')}
    assert 'missing (backbone.ln2.weight' in load(model, student, allow_new=['ln2.*'])
    kept = model.head.weight.detach().clone()
    other = {**state_of(model), 'head.weight': torch.zeros(7, 24), 'head.bias': torch.zeros(7)}
    assert '2 mismatched (head.weight' in load(model, other, allow_new=['head.*'])
    assert torch.equal(model.head.weight, kept)


def test_positions_of_another_size(dora):
    model = Classifier(backbone_cfg(img_size=48))
    assert 'pos_embed 1x17x24 -> 1x37x24' in load(model, dora)
    expected = resize_pos_embed(dora['teacher.backbone.pos_embed'], (4, 4), (6, 6))
    assert torch.equal(model.backbone.pos_embed, expected)
    for positions in (torch.zeros(1, 30, 24), torch.zeros(1, 37, 12)):
        refusal(Classifier(), {**state_of(Classifier()), 'backbone.pos_embed': positions})


def test_an_mvit_of_another_clip_size():
    arch = dict(embed_dims=8, num_layers=3, num_heads=1, downscale_indices=[1])
    cfg = dict(type='mmvidssl.MaskFeatMViT', arch=arch, spatial_size=32, temporal_size=4)
    larger = state_of(Classifier(dict(cfg, spatial_size=64, temporal_size=8)))
    assert 'rel_pos_h' in load(Classifier(cfg), larger)
    wider = state_of(Classifier(dict(cfg, arch=dict(arch, embed_dims=16))))
    assert 'cls_token: 1x1x16 in the file, 1x1x8 in the model' in refusal(Classifier(cfg), wider)
