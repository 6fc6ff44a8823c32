"""Backbones in files of their own."""

import hashlib

import pytest
import torch
from mmengine.config import Config

import mmvidssl
from mmvidssl.apis import init_model, load_weights, publish_model
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, dora_cfg


@pytest.fixture
def config():
    return Config(dict(default_scope='mmvidssl', model=dora_cfg()))


@pytest.fixture
def trained(config, tmp_path):
    """A checkpoint whose student and teacher differ."""
    model = init_model(config)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.add_(0.1)
    path = tmp_path / 'iter_3.pth'
    meta = dict(iter=3, epoch=0, cfg=config.pretty_text, hook_msgs=dict(a=1), seed=7)
    meta['time'] = '20250102_030405'
    torch.save(dict(state_dict=model.state_dict(), meta=meta, optimizer=dict(state={})), path)
    return path


@pytest.mark.parametrize(('role', 'prefix'), [('teacher', 'teacher.'), ('student', '')])
def test_published_backbone_is_plain_and_loads_by_prefix(config, trained, tmp_path, role, prefix):
    path = publish_model(trained, tmp_path / 'out' / 'backbone.pth', role)
    assert path.parent == tmp_path / 'out' and [path] == list(path.parent.iterdir())
    content = torch.load(path, weights_only=True)
    assert set(content) == {'state_dict', 'meta'}
    assert content['meta']['role'] == role and content['meta']['iter'] == 3
    assert 'DoRA' in content['meta']['config']
    weights = load_weights(trained)
    backbone = MODELS.build(
        backbone_cfg(init_cfg=dict(type='Pretrained', checkpoint=str(path), prefix='backbone.'))
    )
    backbone.init_weights()
    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, weights[f'{prefix}backbone.{key}'])
    again = init_model(config, path)
    torch.testing.assert_close(
        again.teacher.backbone.cls_token, weights[f'{prefix}backbone.cls_token']
    )


def test_name_of_a_published_file_follows_its_content(trained, tmp_path):
    first = publish_model(trained, tmp_path / 'a.pth')
    assert first == publish_model(trained, tmp_path / 'a.pth')
    other = publish_model(trained, tmp_path / 'a.pth', 'student')
    assert first != other and first.stem.startswith('a-') and len(first.stem) == 10


def test_a_published_file_says_where_it_comes_from(trained, tmp_path):
    path = publish_model(trained, tmp_path / 'a.pth')
    assert path.stem.endswith(hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    meta = torch.load(path, weights_only=True)['meta']
    assert 'DINOViT' in meta.pop('config')
    assert meta == dict(
        role='teacher',
        epoch=0,
        iter=3,
        seed=7,
        date='20250102_030405',
        mmvidssl_version=mmvidssl.__version__,
    )
    torch.save(dict(state_dict=load_weights(trained)), tmp_path / 'bare.pth')
    bare = torch.load(publish_model(tmp_path / 'bare.pth', tmp_path / 'b.pth'), weights_only=True)
    assert set(bare['meta']) == {'role', 'date', 'mmvidssl_version'}
    assert bare['meta']['date'].isdigit() and len(bare['meta']['date']) == 8


def test_publishing_what_is_not_there_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match='both'):
        publish_model(trained, tmp_path / 'a.pth', 'both')
    weights = {k: v for k, v in load_weights(trained).items() if 'teacher.backbone' not in k}
    torch.save(dict(state_dict=weights), tmp_path / 'student.pth')
    with pytest.raises(ValueError, match='no teacher backbone'):
        publish_model(tmp_path / 'student.pth', tmp_path / 'a.pth')


@pytest.mark.parametrize('role', ['teacher', 'student'])
def test_an_only_backbone_is_published_for_the_teachers_and_says_so(trained, tmp_path, role):
    weights = {k: v for k, v in load_weights(trained).items() if k.startswith('backbone.')}
    torch.save(dict(state_dict=weights), tmp_path / 'alone.pth')
    path = publish_model(tmp_path / 'alone.pth', tmp_path / 'a.pth', role)
    content = torch.load(path, weights_only=True)
    assert content['meta']['role'] == dict(teacher='backbone', student='student')[role]
    assert content['state_dict'].keys() == weights.keys()
    for key, value in weights.items():
        assert torch.equal(content['state_dict'][key], value)
