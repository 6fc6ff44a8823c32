"""The command lines of features and exports: what they write, and what they refuse."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import init_model
from tests.utils_model import backbone_cfg, dora_cfg, maskfeat_cfg

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture
def tool(monkeypatch, capsys):
    """Calls a tool's ``main`` in this process; returns exit code, stdout and stderr."""

    def run(name, *arguments):
        path = TOOLS / f'{name}.py'
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        code = module.main()
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def run_of(tmp_path):
    """Config and checkpoint of a method, as files."""

    def write(model_cfg):
        cfg = Config(dict(default_scope='mmvidssl', model=model_cfg))
        cfg.dump(str(tmp_path / 'config.py'))
        state_dict = init_model(cfg).state_dict()
        meta = dict(cfg=cfg.pretty_text)
        torch.save(dict(state_dict=state_dict, meta=meta), tmp_path / 'epoch_1.pth')
        return tmp_path / 'config.py', tmp_path / 'epoch_1.pth'

    return write


def test_features_of_a_video(tool, run_of, video, tmp_path):
    out = tmp_path / 'features.npz'
    sizes = ('--short-side', 32, '--crop-size', 32)
    code, printed, _ = tool(
        *('extract_features', *run_of(dora_cfg()), video, '--out', out, *sizes),
        *('--every', 0.5, '--layers', -2, -1, '--pool', 'mean'),
    )
    assert code == 0 and 'extracting features 100%' in printed and '(6, 48)' in printed
    saved = np.load(out)
    np.testing.assert_allclose(saved['times'], np.arange(6) / 2, atol=1e-3)
    assert set(saved['names'].tolist()) == {str(video)}
    code, _, _ = tool(
        *('extract_features', *run_of(maskfeat_cfg()), video, '--out', out, *sizes),
        *('--frame-interval', 2),
    )
    assert code == 0 and np.load(out)['features'].shape == (3, 16)


def test_role_of_a_downstream_model(tool, run_of, video, tmp_path):
    """Its one backbone is filled with that role's."""
    _, checkpoint = run_of(dora_cfg())
    content = torch.load(checkpoint, weights_only=True)
    for name, value in content['state_dict'].items():
        if name.startswith('backbone.'):
            value.add_(0.1)
    torch.save(content, checkpoint)
    model = dict(
        type='ImageClassifier',
        backbone=backbone_cfg(),
        head=dict(type='LinearClsHead', num_classes=2, in_channels=24),
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    )
    config = tmp_path / 'downstream.py'
    Config(dict(default_scope='mmpretrain', model=model)).dump(str(config))
    found = {}
    for name, cfg in dict(dora=tmp_path / 'config.py', downstream=config).items():
        for role in ((), ('--role', 'teacher'), ('--role', 'student')):
            out = tmp_path / 'features.npz'
            sizes = ('--short-side', 32, '--crop-size', 32, *role)
            code, _, error = tool('extract_features', cfg, checkpoint, video, '--out', out, *sizes)
            assert code == 0, error
            found[name, role[-1:]] = np.load(out)['features']
    for role in ((), ('teacher',), ('student',)):
        np.testing.assert_allclose(found['downstream', role], found['dora', role], rtol=1e-5)
    np.testing.assert_array_equal(found['dora', ()], found['dora', ('teacher',)])
    assert not np.allclose(found['dora', ('teacher',)], found['dora', ('student',)])
    exported = {}
    for role in ('teacher', 'student'):
        out = tmp_path / f'{role}.ts'
        arguments = (config, checkpoint, out, '--size', 32, '--role', role)
        assert tool('model_converters/export_backbone', *arguments)[0] == 0
        exported[role] = torch.jit.load(str(out))(torch.full((1, 3, 32, 32), 9.0))
    assert not torch.allclose(exported['teacher'], exported['student'])


def test_features_are_refused_in_a_sentence(tool, run_of, video, tmp_path):
    config, checkpoint = run_of(dora_cfg())
    for arguments, message in [
        ((config, checkpoint, 'none.mp4', '--out', 'a.npz'), 'no such image, video or folder'),
        ((config, checkpoint, video, '--out', 'a.parquet'), 'written as .npz, got a.parquet'),
        ((config, 'none.pth', video, '--out', 'a.npz'), 'none.pth does not exist'),
        (('none.py', checkpoint, video, '--out', 'a.npz'), 'no such config: none.py'),
        ((config, checkpoint, video, '--out', 'a.npz', '--layers', 7), 'has 2 blocks, got 7'),
    ]:
        code, _, error = tool('extract_features', *arguments)
        assert code == 2 and message in error and error.count('\n') == 1, error
    assert not Path('a.npz').exists()


def test_exports(tool, run_of, tmp_path):
    config, checkpoint = run_of(dora_cfg())
    code, printed, _ = tool('model_converters/to_timm', checkpoint, tmp_path / 'timm.pth')
    assert code == 0 and 'VisionTransformer(img_size=32, patch_size=8' in printed
    torch.save(torch.load(checkpoint, weights_only=True)['state_dict'], tmp_path / 'bare.pth')
    wide = ('--img-size', 16, 64, '--num-heads', 4)
    code, printed, _ = tool(
        'model_converters/to_timm', tmp_path / 'bare.pth', tmp_path / 'wide.pth', *wide
    )
    assert code == 0 and 'VisionTransformer(img_size=(16, 64), patch_size=8' in printed
    code, printed, _ = tool('model_converters/to_hf', checkpoint, tmp_path / 'hf')
    assert code == 0 and 'ViTModel.from_pretrained' in printed
    arguments = (config, checkpoint, tmp_path / 'backbone.ts', '--size', 32, 48)
    code, printed, _ = tool('model_converters/export_backbone', *arguments)
    assert code == 0 and '[-1, 3, 32, 48]' in printed and 'difference' in printed
    for again in (
        ('model_converters/to_timm', checkpoint, tmp_path / 'timm.pth'),
        ('model_converters/to_hf', checkpoint, tmp_path / 'hf'),
        ('model_converters/export_backbone', *arguments),
    ):
        code, _, error = tool(*again)
        assert code == 2 and 'pass --force' in error and error.count('\n') == 1
        assert tool(*again, '--force')[0] == 0
