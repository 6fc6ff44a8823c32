"""From a config to a model, features and object masks, with a real, tiny model."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmvidssl.apis import (
    extract_features,
    init_backbone,
    init_model,
    load_weights,
    publish_model,
    track_objects,
)
from mmvidssl.models.utils import resize_pos_embed
from tests.utils_export import write
from tests.utils_model import backbone_cfg, dora_cfg

DIMS = 24


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


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), np.uint8)


def test_model_is_ready_and_holds_the_weights_of_the_checkpoint(config, trained, capfd):
    model = init_model(config, trained)
    assert not any(m.training for m in model.modules())
    expected = torch.load(trained, weights_only=True)['state_dict']
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, expected[key])
    init_model(config)
    assert 'The value is the same' not in ''.join(capfd.readouterr())


def test_config_may_be_a_file(config, trained, tmp_path):
    config.dump(str(tmp_path / 'config.py'))
    assert init_model(tmp_path / 'config.py', trained).backbone.num_heads == 4
    with pytest.raises(FileNotFoundError, match='none.py'):
        init_model(tmp_path / 'none.py')


def test_missing_weights_of_the_backbone_are_named(config, trained, tmp_path):
    weights = load_weights(trained)
    del weights['backbone.cls_token']
    torch.save(dict(state_dict=weights), tmp_path / 'part.pth')
    with pytest.raises(ValueError, match=r'part.pth (?s:.)*cls_token: miss'):
        init_model(config, tmp_path / 'part.pth')


def test_weights_of_another_size_are_refused(config, trained):
    config.model.backbone.patch_size = 16
    with pytest.raises(ValueError, match='patch_embed'):
        init_model(config, trained)


def test_files_that_are_no_plain_checkpoints_are_named(config, tmp_path):
    (tmp_path / 'text.pth').write_text('no weights')
    torch.save(dict(state_dict={}, config=Config()), tmp_path / 'objects.pth')
    torch.save([1, 2], tmp_path / 'list.pth')
    for name in ('text.pth', 'objects.pth', 'list.pth'):
        with pytest.raises(ValueError, match=name):
            load_weights(tmp_path / name)
    with pytest.raises(FileNotFoundError, match='none.pth'):
        load_weights(tmp_path / 'none.pth')


@pytest.mark.parametrize(
    'way', ['init_model', 'init_cfg', 'init_backbone', 'publish', 'load_weights']
)
def test_a_released_file_is_to_be_converted(trained, tmp_path, way):
    """Whichever way it is given, the sentence is the same."""
    weights = dict(teacher=load_weights(trained), student=load_weights(trained), epoch=3)
    path = tmp_path / 'released.pth'
    torch.save(weights, path)
    calls = dict(
        init_model=lambda: init_model(classifier(), path),
        init_cfg=lambda: init_model(classifier(checkpoint=str(path), prefix='teacher.')),
        init_backbone=lambda: init_backbone(backbone_cfg(), path),
        publish=lambda: publish_model(path, tmp_path / 'published.pth'),
        load_weights=lambda: load_weights(path),
    )
    with pytest.raises(ValueError) as error:
        calls[way]()
    assert str(path) in str(error.value) and 'only teacher, student, epoch' in str(error.value)
    assert 'tools/model_converters/' in str(error.value)


def test_features_are_class_tokens_of_normalised_frames(config, trained, frames):
    model = init_model(config, trained)
    features = extract_features(model, frames, batch_size=2)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    with torch.no_grad():
        expected = model.teacher.backbone((pixels - mean) / std)[-1]
    assert features.shape == (5, DIMS)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)
    as_tensor = torch.from_numpy(frames).permute(3, 0, 1, 2)
    torch.testing.assert_close(extract_features(model, as_tensor), features)
    student = extract_features(model, frames, role='student')
    assert (student - features).abs().max() > 1e-2
    with pytest.raises(ValueError, match='teacher'):
        extract_features(model, frames, role='both')
    with pytest.raises(ValueError, match='uint8'):
        extract_features(model, frames.astype(np.float32))
    with pytest.raises(ValueError, match='uint8'):
        extract_features(model, as_tensor.float())


def test_objects_are_tracked_as_the_model_does(config, trained, frames):
    model = init_model(config, trained)
    tracked = track_objects(model, frames)
    assert tracked.masks.shape == tracked.maps.shape == (2, 5, 4, 6)
    assert tracked.masks.dtype == bool and tracked.maps.dtype == np.float32
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)
    inputs = model.data_preprocessor(dict(inputs=dict(clip=[clip])))['inputs']['clip']
    np.testing.assert_allclose(tracked.maps, model.track(inputs).maps[:, 0].numpy(), rtol=1e-4)
    with pytest.raises(ValueError, match='does not track'):
        track_objects(model.backbone, frames)


def test_a_published_teacher_is_no_student(config, trained, tmp_path):
    teacher = publish_model(trained, tmp_path / 'teacher.pth')
    for call in (
        lambda role: init_model(config, teacher, role=role),
        lambda role: init_model(classifier(), teacher, role=role),
        lambda role: init_backbone(backbone_cfg(), teacher, role or 'teacher'),
        lambda role: publish_model(teacher, tmp_path / 'again.pth', role or 'teacher'),
    ):
        call(None)
        call('teacher')
        with pytest.raises(ValueError, match=teacher.name):
            call('student')
    student = publish_model(trained, tmp_path / 'student.pth', 'student')
    init_model(classifier(), student, role='student')


def test_positions_of_another_size_are_interpolated(config, trained):
    weights = load_weights(trained)
    config.model.backbone.img_size = 48
    model = init_model(config, trained)
    for prefix, backbone in (('', model.backbone), ('teacher.', model.teacher.backbone)):
        positions = weights[f'{prefix}backbone.pos_embed']
        expected = resize_pos_embed(positions, (4, 4), (6, 6))
        assert torch.equal(backbone.pos_embed.data, expected)
        assert torch.equal(backbone.cls_token.data, weights[f'{prefix}backbone.cls_token'])


def classifier(**init_cfg):
    """A downstream config, whose backbone may say where its weights come from."""
    backbone = backbone_cfg(init_cfg=dict(type='Pretrained', **init_cfg) if init_cfg else None)
    model = dict(
        type='ImageClassifier',
        backbone=backbone,
        head=dict(type='LinearClsHead', num_classes=2, in_channels=DIMS),
    )
    return Config(dict(default_scope='mmpretrain', model=model))


def assert_backbone_is(model, weights, prefix):
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, weights[prefix + name]), name


@pytest.fixture
def lines(monkeypatch):
    """Of the log."""
    lines = []
    monkeypatch.setattr(MMLogger, 'info', lambda self, line, *args: lines.append(line))
    return lines


def test_a_downstream_model_takes_the_teacher_unless_told_otherwise(trained, lines):
    weights = load_weights(trained)
    assert_backbone_is(init_model(classifier(), trained), weights, 'teacher.backbone.')
    assert "ImageClassifier has one backbone and takes the teacher's" in lines[-1]
    assert_backbone_is(init_model(classifier(), trained, role='student'), weights, 'backbone.')
    with pytest.raises(ValueError, match="got 'both'"):
        init_model(classifier(), trained, role='both')


def test_a_downstream_model_is_initialised_whole_or_refused(trained, tmp_path, lines):
    weights = load_weights(trained)
    config = classifier(checkpoint=str(trained), prefix='teacher.backbone.')
    assert_backbone_is(init_model(config), weights, 'teacher.backbone.')
    assert '30 of 30 tensors loaded from' in lines[-1]
    with pytest.raises(ValueError, match="prefix 'model.'"):
        init_model(classifier(checkpoint=str(trained), prefix='model.'))
    with pytest.raises(FileNotFoundError, match='backbone.init_cfg: none.pth'):
        init_model(classifier(checkpoint='none.pth', prefix='backbone.'))
    del weights['teacher.backbone.layers.1.ln1.bias']
    torch.save(weights, tmp_path / 'part.pth')
    with pytest.raises(ValueError, match='layers.1.ln1.bias: missing'):
        init_model(classifier(checkpoint=str(tmp_path / 'part.pth'), prefix='teacher.backbone.'))


def test_what_a_model_does_not_take_is_told(trained, monkeypatch):
    """Loading itself is compared with the file, to the bit."""
    load = torch.nn.Module._load_from_state_dict

    def rounded(self, state_dict, prefix, *args):
        load(self, state_dict, prefix, *args)
        if isinstance(self, torch.nn.Linear) and not self.weight.is_meta:
            self.weight.data *= 1.001

    monkeypatch.setattr(torch.nn.Module, '_load_from_state_dict', rounded)
    with pytest.raises(RuntimeError, match='8 of 30 .*iter_3.pth'):
        init_model(classifier(), trained)


def test_what_a_config_lets_be_new(trained):
    config = classifier(checkpoint=str(trained), prefix='teacher.backbone.')
    config.model.backbone.update(out_type='avg_featmap', final_norm=False)
    for checkpoint in (None, trained):
        config.custom_hooks = []
        with pytest.raises(ValueError, match='ln2.weight: missing'):
            init_model(config, checkpoint)
        config.custom_hooks = [dict(type='mmvidssl.PretrainedReportHook', allow_new=['ln2.*'])]
        init_model(config, checkpoint)


def test_the_model_inside_a_test_by_many_views(trained):
    config = classifier()
    config.model = dict(type='AverageClsScoreTTA', module=config.model)
    assert_backbone_is(init_model(config, trained), load_weights(trained), 'teacher.backbone.')


def test_backbone_alone_is_loaded_whole_or_refused(tmp_path):
    model = write(dora_cfg(), tmp_path / 'run.pth')
    for role in ('teacher', 'student'):
        backbone = init_backbone(backbone_cfg(), tmp_path / 'run.pth', role)
        wanted = model.teacher.backbone if role == 'teacher' else model.backbone
        for name, value in backbone.state_dict().items():
            assert torch.equal(value, wanted.state_dict()[name])
    assert not backbone.training
    deeper = backbone_cfg()
    deeper['arch'] = dict(deeper['arch'], num_layers=3)
    with pytest.raises(ValueError, match='DINOViT(?s:.)*layers.2.ln1'):
        init_backbone(deeper, tmp_path / 'run.pth')
    with pytest.raises(ValueError, match='run.pth(?s:.)*patch_embed'):
        init_backbone(backbone_cfg(patch_size=16), tmp_path / 'run.pth')
    shallow = backbone_cfg()
    shallow['arch'] = dict(shallow['arch'], num_layers=1)
    with pytest.raises(ValueError, match='run.pth(?s:.)*layers.1.*: unexp'):
        init_backbone(shallow, tmp_path / 'run.pth')


def test_a_norm_that_options_leave_out_is_unexpected(tmp_path, lines):
    model = write(dora_cfg(), tmp_path / 'run.pth')
    backbone = init_backbone(
        backbone_cfg(final_norm=False, out_indices=[0, 1], out_type='featmap'), tmp_path / 'run.pth'
    )
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, model.teacher.backbone.state_dict()[name])
    assert '2 unexpected (ln1.weight, ln1.bias)' in lines[-1]
