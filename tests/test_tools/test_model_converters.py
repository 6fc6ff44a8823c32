"""The command lines of tools/model_converters: exit codes, and sentences instead of tracebacks."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from tests.references.reference_figures import load_figures, named_weights, role_weights

CONVERTERS = Path(__file__).parents[2] / 'tools' / 'model_converters'
SETUP, _ = load_figures('dora_small')


@pytest.fixture
def tool(monkeypatch, capsys):
    """Calls a tool's ``main`` in this process; returns exit code, stdout and stderr."""

    def run(name, *arguments):
        spec = importlib.util.spec_from_file_location(name, CONVERTERS / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        code = module.main()
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def released(tmp_path):
    path = tmp_path / 'checkpoint.pth'
    roles = {role: role_weights(SETUP, role) for role in ('student', 'teacher')}
    torch.save(dict(**roles, epoch=3, optimizer=dict(state={})), path)
    return path


def test_convert_then_publish(shell, tool, released, tmp_path):
    script = CONVERTERS / 'dora_to_mmvidssl.py'
    done = shell('python', script, released, tmp_path / 'ours.pth')
    assert done.returncode == 0, done.stderr
    assert 'student and teacher' in done.stdout and "'num_layers': 3" in done.stdout
    assert 'not converted: optimizer' in done.stdout
    code, out, _ = tool('publish_model', tmp_path / 'ours.pth', tmp_path / 'vit.pth')
    assert code == 0
    published = torch.load(out.strip(), weights_only=True)['state_dict']
    teacher = role_weights(SETUP, 'teacher')
    assert torch.equal(published['backbone.cls_token'], teacher['backbone.cls_token'])


def test_publisher_says_that_there_is_but_one_backbone(tool, released, tmp_path):
    content = torch.load(released, weights_only=True)
    torch.save(content['teacher'], tmp_path / 'alone.pth')
    assert tool('dora_to_mmvidssl', tmp_path / 'alone.pth', tmp_path / 'ours.pth')[0] == 0
    code, out, note = tool('publish_model', tmp_path / 'ours.pth', tmp_path / 'vit.pth')
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
        'none.pth': 'does not exist',
        'text.pth': 'does not open as plain data',
        'resnet.pth': 'Is it another architecture?',
    }
    for name, message in expected.items():
        for converter in ('dora_to_mmvidssl', 'slowfast_to_mmvidssl'):
            code, _, error = tool(converter, tmp_path / name, out)
            assert code == 2 and name in error and message in error and error.count('\n') == 1
            assert not out.exists()
    assert tool('dora_to_mmvidssl', released, out)[0] == 0
    code, _, error = tool('dora_to_mmvidssl', released, out)
    assert code == 2 and 'exists already' in error
    assert tool('dora_to_mmvidssl', released, out, '--force')[0] == 0


def test_maskfeat_is_converted_and_published(shell, tool, tmp_path):
    setup, _ = load_figures('maskfeat_small')
    weights = named_weights(setup['keys'], setup['salt'])
    torch.save(dict(model_state=weights, epoch=3, cfg='A: 1'), tmp_path / 'maskfeat.pyth')
    script = CONVERTERS / 'slowfast_to_mmvidssl.py'
    done = shell('python', script, tmp_path / 'maskfeat.pyth', tmp_path / 'ours.pth')
    assert done.returncode == 0, done.stderr
    assert 'MaskFeat of videos (MViT)' in done.stdout and "'num_layers': 4" in done.stdout
    assert 'not converted: hogs.0.weight_x' in done.stdout
    code, out, _ = tool('publish_model', tmp_path / 'ours.pth', tmp_path / 'mvit.pth')
    assert code == 0
    published = torch.load(out.strip(), weights_only=True)['state_dict']
    assert torch.equal(published['backbone.cls_token'], weights['cls_token'])
    assert not any('mask_token' in key or key.startswith('neck') for key in published)


def test_publisher_refuses_in_a_sentence(tool, tmp_path):
    (tmp_path / 'text.pth').write_text('no weights')
    torch.save(dict(state_dict={'conv1.weight': torch.ones(1)}), tmp_path / 'resnet.pth')
    expected = {
        'none.pth': 'does not exist',
        'text.pth': 'does not open as plain data',
        'resnet.pth': 'no teacher backbone',
    }
    for name, message in expected.items():
        code, _, error = tool('publish_model', tmp_path / name, tmp_path / 'out.pth')
        assert code == 2 and name in error and message in error and error.count('\n') == 1
