"""The command lines of tools/model_converters: exit codes, and sentences instead of tracebacks."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tests.references.reference_figures import load_figures, named_weights, role_weights
from tests.utils_export import classifier_cfg
from tests.utils_model import dora_cfg

TOOLS = Path(__file__).parents[2] / 'tools'
DORA, SLOWFAST, PUBLISH = (
    f'model_converters/{name}'
    for name in ('dora_to_mmvidssl', 'slowfast_to_mmvidssl', 'publish_model')
)
SETUP, _ = load_figures('dora_small')


@pytest.fixture
def released(tmp_path):
    path = tmp_path / 'checkpoint.pth'
    roles = {role: role_weights(SETUP, role) for role in ('student', 'teacher')}
    torch.save(dict(**roles, epoch=3, optimizer=dict(state={})), path)
    return path


def test_convert_then_publish(shell, tool, released, tmp_path):
    done = shell('python', TOOLS / f'{DORA}.py', released, tmp_path / 'ours.pth')
    assert done.returncode == 0, done.stderr
    assert 'student and teacher' in done.stdout and "'num_layers': 3" in done.stdout
    assert 'not converted: optimizer\n' in done.stdout
    code, out, _ = tool(
        'model_converters/publish_model', tmp_path / 'ours.pth', tmp_path / 'vit.pth'
    )
    assert code == 0
    published = torch.load(out.strip(), weights_only=True)['state_dict']
    teacher = role_weights(SETUP, 'teacher')
    assert torch.equal(published['backbone.cls_token'], teacher['backbone.cls_token'])


def test_publisher_says_that_there_is_but_one_backbone(tool, released, tmp_path):
    content = torch.load(released, weights_only=True)
    torch.save(content['teacher'], tmp_path / 'alone.pth')
    assert tool(DORA, tmp_path / 'alone.pth', tmp_path / 'ours.pth')[0] == 0
    code, out, note = tool(
        'model_converters/publish_model', tmp_path / 'ours.pth', tmp_path / 'vit.pth'
    )
    assert code == 0 and 'ours.pth holds no teacher: its only backbone is published' in note
    published = torch.load(out.strip(), weights_only=True)
    assert published['meta']['role'] == 'backbone'
    assert torch.equal(
        published['state_dict']['backbone.cls_token'], content['teacher']['backbone.cls_token']
    )


def test_converter_refuses_in_a_sentence(tool, released, tmp_path):
    out = tmp_path / 'ours.pth'
    (tmp_path / 'text.pth').write_text('no weights')
    torch.save({'conv1.weight': torch.ones(1)}, tmp_path / 'resnet.pth')
    expected = {
        'none.pth': 'none.pth',
        'text.pth': 'text.pth',
        'resnet.pth': 'conv1.weight',
    }
    for name, message in expected.items():
        for converter in (DORA, SLOWFAST):
            code, _, error = tool(converter, tmp_path / name, out)
            assert code == 2 and name in error and message in error and error.count('\n') == 1
            assert not out.exists()
    assert tool(DORA, released, out)[0] == 0
    code, _, error = tool(DORA, released, out)
    assert code == 2 and 'exists already' in error
    assert tool(DORA, released, out, '--force')[0] == 0


def test_maskfeat_is_converted_and_published(tool, tmp_path):
    setup, _ = load_figures('maskfeat_small')
    weights = named_weights(setup['keys'], setup['salt'])
    torch.save(dict(model_state=weights, epoch=3, cfg='A: 1'), tmp_path / 'maskfeat.pyth')
    code, out, _ = tool(SLOWFAST, tmp_path / 'maskfeat.pyth', tmp_path / 'ours.pth')
    assert code == 0 and 'MaskFeat of videos (MViT)' in out and "'num_layers': 4" in out
    assert 'not converted: hogs.0.weight_x' in out
    code, out, _ = tool(
        'model_converters/publish_model', tmp_path / 'ours.pth', tmp_path / 'mvit.pth'
    )
    assert code == 0
    published = torch.load(out.strip(), weights_only=True)['state_dict']
    assert torch.equal(published['backbone.cls_token'], weights['cls_token'])
    assert not any('mask_token' in key or key.startswith('neck') for key in published)


def test_publisher_refuses_in_a_sentence(tool, tmp_path):
    torch.save(dict(state_dict={'conv1.weight': torch.ones(1)}), tmp_path / 'resnet.pth')
    for name, message in {'none.pth': 'exist', 'resnet.pth': 'no teacher backbone'}.items():
        arguments = (tmp_path / name, tmp_path / 'out.pth')
        code, _, error = tool(PUBLISH, *arguments)
        assert code == 2 and name in error and message in error and error.count('\n') == 1


@pytest.mark.parametrize(
    ('name', 'out', 'message'),
    [
        ('to_timm', 'timm.pth', 'VisionTransformer(img_size=32, patch_size=8'),
        ('to_hf', 'hf', 'ViTModel.from_pretrained'),
        ('export_backbone', 'backbone.ts', '[-1, 3, 32, 32]'),
    ],
)
def test_exporters_are_called_alike(tool, run_of, tmp_path, name, out, message):
    config, checkpoint = run_of(dora_cfg())
    name, out = f'model_converters/{name}', tmp_path / out
    code, printed, _ = tool(name, config, checkpoint, out)
    assert code == 0 and message in printed
    code, _, error = tool(name, config, checkpoint, out)
    assert code == 2 and '--force' in error and error.count('\n') == 1
    assert tool(name, config, checkpoint, out, '--force', '--role', 'student')[0] == 0
    code, _, error = tool(name, config, tmp_path / 'none.pth', out)
    assert code == 2 and 'none.pth' in error and error.count('\n') == 1
    with pytest.raises(SystemExit):  # of no config
        tool(name, checkpoint, out)


def test_exported_backbones_of_two_roles_and_another_size(tool, run_of, tmp_path):
    """Of a downstream model, whose one backbone is filled with that role's."""
    _, checkpoint = run_of(dora_cfg(), student_offset=0.1)
    config = tmp_path / 'downstream.py'
    Config(classifier_cfg()).dump(str(config))
    outputs = {}
    for role in ('teacher', 'student'):
        out = tmp_path / f'{role}.ts'
        arguments = (config, checkpoint, out, '--size', 32, 48, '--role', role)
        assert tool('model_converters/export_backbone', *arguments)[0] == 0
        outputs[role] = torch.jit.load(str(out))(torch.full((1, 3, 32, 48), 9.0))
    assert not torch.allclose(outputs['teacher'], outputs['student'])
