"""Released checkpoints become ours, and nothing else does."""

from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.models import VisionTransformer

from mmvidssl.apis import convert_checkpoint, init_model, publish_model
from mmvidssl.registry import MODELS
from tests.references.reference_figures import (
    center_of,
    inputs_of,
    load_figures,
    model_cfg,
    our_name,
    released_name,
    role_weights,
)
from tests.utils_model import backbone_cfg, dora_cfg
from tests.utils_run import tiny_cfg
from tests.utils_video import write_video

SETUP, FIGURES = load_figures('dora_small')
# What only a run of ours gathers.
GATHERED = {f'target_generator.{name}' for name in ('pass_sum', 'num_passes')}
GATHERED |= {'tracker.num_draws'}


def released_checkpoint(student, teacher, center, **changes):
    """What the released code saves, with all that surrounds the weights."""
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimizer.step()
    return {
        'student': {f'module.{key}': value for key, value in student.items()},
        'teacher': teacher,
        'optimizer': optimizer.state_dict(),
        'epoch': 100,
        'args': Namespace(arch='vit_small', lr=5e-4, local_crops_scale=(0.05, 0.4)),
        'dino_loss': dict(center=center),
        'fp16_scaler': dict(scale=65536.0, growth_factor=2.0),
        **changes,
    }


def golden_checkpoint(**changes):
    weights = [role_weights(SETUP, role) for role in ('student', 'teacher')]
    return released_checkpoint(*weights, center_of(SETUP), **changes)


@pytest.fixture
def convert(tmp_path):
    """Saves what it is given as a released checkpoint and converts that."""

    def run(content, **options):
        torch.save(content, tmp_path / 'released.pth')
        return convert_checkpoint(tmp_path / 'released.pth', tmp_path / 'ours.pth', **options)

    return run


def load(path):
    return torch.load(path, weights_only=True)


def released_backbone(**options):
    """A tiny ViT of ours, and its weights under DINO's names."""
    torch.manual_seed(0)
    model = MODELS.build(backbone_cfg(**options))
    model.eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    names = {key: released_name(f'backbone.{key}') for key in model.state_dict()}
    return model, {
        name.removeprefix('backbone.'): model.state_dict()[key] for key, name in names.items()
    }


def renamed(weights, *pairs):
    for old, new in pairs:
        weights = {key.replace(old, new): value for key, value in weights.items()}
    return weights


def test_converted_checkpoint_gives_the_released_figures(convert):
    done = convert(golden_checkpoint())
    model = init_model(Config(dict(model=model_cfg(SETUP))), done.path).train()
    inputs = inputs_of(SETUP)
    _, logits = model.forward_teacher(inputs['global_clip'])
    torch.testing.assert_close(logits, FIGURES['teacher_logits'], atol=1e-5, rtol=0)
    loss = sum(model.loss(inputs).values()).detach().double()
    torch.testing.assert_close(loss, FIGURES['loss'].double(), atol=1e-5, rtol=0)
    model.finish_step()
    center = model.target_generator.center
    torch.testing.assert_close(center, FIGURES['center_after'], atol=1e-5, rtol=0)


def test_training_checkpoint_is_whole_and_plain(convert):
    done = convert(golden_checkpoint())
    content = load(done.path)
    expected = MODELS.build(model_cfg(SETUP)).state_dict()
    assert set(content['state_dict']) == set(expected) - GATHERED
    for role, prefix in (('student', ''), ('teacher', 'teacher.')):
        for key, value in role_weights(SETUP, role).items():
            assert torch.equal(content['state_dict'][prefix + our_name(key)], value)
    assert done.kind == 'student and teacher'
    assert done.dropped == ['optimizer', 'fp16_scaler']
    assert done.arch == content['meta']['arch']
    assert done.arch['embed_dims'] == SETUP['dim'] and done.arch['num_layers'] == SETUP['depth']
    assert done.arch['img_size'] == SETUP['img'] and done.arch['patch_size'] == SETUP['patch']
    assert done.arch['num_prototypes'] == SETUP['out_dim']
    meta = content['meta']
    assert meta['epoch'] == 100 and meta['converted_from'] == 'released.pth'
    assert meta['args'] == dict(arch='vit_small', lr=5e-4, local_crops_scale='(0.05, 0.4)')


def test_a_run_starts_from_it(convert, tmp_path):
    model = MODELS.build(dora_cfg())
    for parameter in model.parameters():
        parameter.data += 0.1
    state = model.state_dict()
    teacher = {
        released_name(key.removeprefix('teacher.')): value
        for key, value in state.items()
        if key.startswith('teacher.')
    }
    student = {
        released_name(key): value
        for key, value in state.items()
        if key.startswith(('backbone.', 'neck.'))
    }
    done = convert(released_checkpoint(student, teacher, torch.ones(1, 16)))
    video = write_video(tmp_path / 'video.mp4')
    cfg = tiny_cfg(video, tmp_path / 'work', load_from=str(done.path))
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    loaded = runner.model.state_dict()
    for key, value in state.items():
        if key.startswith(('backbone.', 'neck.', 'teacher.')):
            assert torch.equal(loaded[key], value), key
    assert torch.equal(loaded['target_generator.center'], torch.ones(1, 16))


@pytest.mark.parametrize(('role', 'prefix'), [('student', ''), ('teacher', 'teacher.')])
def test_mmpretrains_vit_takes_a_part_by_its_prefix(convert, role, prefix):
    path = convert(golden_checkpoint()).path
    cfg = model_cfg(SETUP)['backbone']
    del cfg['type']
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix=f'{prefix}backbone.')
    model = VisionTransformer(**cfg, init_cfg=init_cfg)
    model.init_weights()
    for key, value in role_weights(SETUP, role).items():
        if key.startswith('backbone.'):
            assert torch.equal(model.state_dict()[our_name(key).removeprefix('backbone.')], value)


def test_a_released_backbone_can_be_published_as_teacher(convert, tmp_path):
    _, weights = released_backbone()
    converted = convert(weights).path
    content = load(publish_model(converted, tmp_path / 'dora.pth', 'teacher'))
    assert content['meta']['role'] == 'backbone'
    assert content['meta']['converted_from'] == 'released.pth'
    assert content['state_dict'].keys() == load(converted)['state_dict'].keys()


LAYER_SCALE = dict(layer_scale_init_value=0.1)
SWIGLU = dict(**LAYER_SCALE, layer_cfgs=dict(ffn_type='swiglu_fused'))
IBOT_SCALE = (('attn.gamma1.weight', 'gamma_1'), ('ffn.gamma2.weight', 'gamma_2'))
DINOV2_SCALE = (('attn.gamma1.weight', 'ls1.gamma'), ('ffn.gamma2.weight', 'ls2.gamma'))


@pytest.mark.parametrize(
    ('options', 'names', 'extra'),
    [
        (dict(), (), ()),
        (dict(qkv_bias=False), (), ()),
        (LAYER_SCALE, IBOT_SCALE, ('masked_embed',)),
        (LAYER_SCALE, DINOV2_SCALE, ('mask_token',)),
        (LAYER_SCALE, (*DINOV2_SCALE, ('blocks.', 'blocks.0.')), ('mask_token',)),
        (SWIGLU, (*DINOV2_SCALE, ('ffn.w', 'mlp.w')), ('mask_token',)),
    ],
    ids=['DINO', 'no qkv bias', 'iBOT', 'DINOv2', 'DINOv2 in chunks', 'DINOv2 with SwiGLU'],
)
@pytest.mark.parametrize('wrapped', [False, True])
def test_backbones_alone(convert, tmp_path, options, names, extra, wrapped):
    model, weights = released_backbone(**options)
    weights = renamed(weights, *names) | {name: torch.ones(1, 24) for name in extra}
    prefix = 'module.backbone.' if wrapped else ''
    weights = {prefix + key: value for key, value in weights.items()}
    done = convert(dict(state_dict=weights) if wrapped else weights)
    assert done.kind == 'a backbone'
    assert done.dropped == [f'state_dict.{prefix}{name}' for name in extra]
    assert done.arch['layer_scale'] is bool(options.get('layer_scale_init_value'))
    assert done.arch['qkv_bias'] is options.get('qkv_bias', True)
    state = load(done.path)['state_dict']
    assert set(state) == {f'backbone.{key}' for key in model.state_dict()}

    algorithm = init_model(
        Config(dict(model=dora_cfg(backbone=backbone_cfg(**options)))), done.path
    )
    frames = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for backbone in (algorithm.backbone, algorithm.teacher.backbone):
        assert torch.equal(backbone(frames)[0], model(frames)[0])


def test_one_role_serves_as_both(convert):
    content = golden_checkpoint()
    del content['student']
    done = convert(content)
    state = load(done.path)['state_dict']
    assert done.kind == 'teacher'
    assert not any(key.startswith('teacher.') for key in state)
    assert torch.equal(
        state['backbone.cls_token'], role_weights(SETUP, 'teacher')['backbone.cls_token']
    )


def test_patch_heads_of_ibot_and_dinov2_are_left_out_and_said_so(convert):
    content = golden_checkpoint()
    del content['dino_loss']
    content['ibot_loss'] = dict(center=center_of(SETUP), center2=torch.zeros(1, 1, 4))
    content['teacher']['head.last_layer2.weight_g'] = torch.ones(4, 1)
    content['student']['module.ibot_head.mlp.0.weight'] = torch.ones(4, 4)
    content['student'] = renamed(content['student'], ('module.head.', 'module.dino_head.'))
    done = convert(content)
    assert set(done.dropped) >= {
        'ibot_loss.center2',
        'teacher.head.last_layer2.weight_g',
        'student.module.ibot_head.mlp.0.weight',
    }
    state = load(done.path)['state_dict']
    assert torch.equal(state['target_generator.center'], center_of(SETUP))
    assert torch.equal(state['neck.mlp.0.bias'], role_weights(SETUP, 'student')['head.mlp.0.bias'])


def test_projection_of_one_layer_is_not_numbered(convert):
    _, weights = released_backbone()
    projection = dict(mlp=(8, 24), **{'last_layer.weight_v': (5, 8), 'last_layer.weight_g': (5, 1)})
    head = {
        f'head.{"mlp.weight" if name == "mlp" else name}': torch.ones(*shape)
        for name, shape in projection.items()
    }
    backbone = {f'backbone.{key}': value for key, value in weights.items()}
    state = load(convert(dict(teacher={**backbone, **head})).path)['state_dict']
    assert state['neck.mlp.0.weight'].shape == (8, 24)


def broken(role, change):
    content = golden_checkpoint()
    change(content[role])
    return content


def changed(weights):
    """A released checkpoint whose teacher has other weights, None for none."""
    content = golden_checkpoint()
    for name, value in weights.items():
        content['teacher'][name] = value
    content['teacher'] = {k: v for k, v in content['teacher'].items() if v is not None}
    return content


VIDEO_PATCH = 'backbone.patch_embed.proj.weight'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (lambda: {'conv1.weight': torch.ones(2)}, 'mmpretrain.*: conv1.weight'),
        (lambda: dict(ema=dict(a=torch.ones(1)), epoch=3), 'holds ema, epoch'),
        (lambda: dict(student={}, teacher={}), 'student must hold .* nothing'),
        (lambda: torch.ones(2), 'holds a Tensor'),
        (lambda: changed({'register_tokens': torch.ones(1)}), r'1 of \d+ .*: register_tokens'),
        (lambda: changed({'backbone.blocks.1.mlp.fc2.bias': None}), 'layers.1.ffn.layers.1.bias'),
        (lambda: changed({'backbone.norm.weight': None}), 'missing; .*ln1.weight'),
        (lambda: changed({'backbone.pos_embed': torch.ones(1, 17, 96)}), 'architectures'),
        (lambda: changed({'backbone.pos_embed': torch.ones(17, 96)}), r'pos_embed .*\(17, 96\)'),
        (lambda: changed({VIDEO_PATCH: torch.ones(96, 3, 2, 8, 8)}), 'projection.weight .* 4 axes'),
        (lambda: golden_checkpoint(dino_loss=dict(center=torch.zeros(1, 3))), 'dino_loss.center'),
        (lambda: dict(state_dict=MODELS.build(dora_cfg()).state_dict()), 'layers.0.ln1'),
    ],
    ids=[
        *('ResNet', 'unknown', 'empty', 'tensor', 'registers', 'no bias', 'no norm', 'two sizes'),
        *('flat positions', 'video ViT', 'center', 'ours'),
    ],
)
def test_refuses(convert, tmp_path, content, message):
    with pytest.raises(ValueError, match=f'released.pth.*{message}'):
        convert(content())
    assert [path.name for path in tmp_path.iterdir()] == ['released.pth']


def test_does_not_overwrite_unasked(convert, tmp_path):
    (tmp_path / 'ours.pth').write_text('precious')
    with pytest.raises(FileExistsError, match='ours.pth .*--force'):
        convert(golden_checkpoint())
    assert (tmp_path / 'ours.pth').read_text() == 'precious'
    convert(golden_checkpoint(), force=True)
    assert 'state_dict' in load(tmp_path / 'ours.pth')
    with pytest.raises(ValueError, match='its own source'):
        convert_checkpoint(tmp_path / 'released.pth', tmp_path / 'released.pth', force=True)
    with pytest.raises(FileNotFoundError, match='none.pth'):
        convert_checkpoint(tmp_path / 'none.pth', tmp_path / 'other.pth')


class Evil:
    """Leaves a file behind when it is unpickled in the usual way."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_code_of_the_file_runs(convert, tmp_path):
    evil = Evil(tmp_path / 'trace')
    for extra in (evil, Namespace(out=evil)):
        with pytest.raises(ValueError, match='run code'):
            convert(golden_checkpoint(extra=extra))
    assert not (tmp_path / 'trace').exists()
