"""ViTs for timm and transformers."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mmvidssl.apis import export_to_hf, export_to_timm, extract_features
from tests.utils_export import build, maskfeat_vit_cfg, needs_transformers
from tests.utils_model import backbone_cfg, dora_cfg, maskfeat_cfg

BLOCK_TIMM = ('norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2')
MODULES_TIMM = [
    *('patch_embed.proj', 'norm'),
    *(f'blocks.{index}.{name}' for index in range(2) for name in BLOCK_TIMM),
]
BLOCK_HF = [
    *('layernorm_before', 'attention.attention.query', 'attention.attention.key'),
    *('attention.attention.value', 'attention.output.dense', 'layernorm_after'),
    *('intermediate.dense', 'output.dense'),
]
MODULES_HF = [
    *('embeddings.patch_embeddings.projection', 'layernorm'),
    *(f'encoder.layer.{index}.{name}' for index in range(2) for name in BLOCK_HF),
]


@pytest.fixture(params=['dora', 'maskfeat'])
def model(request):
    """With a ViT of 4 heads for images of 32 x 32; the teacher's, of DoRA."""
    return build(dora_cfg() if request.param == 'dora' else maskfeat_vit_cfg())


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)


def weights_of(model):
    return getattr(model, 'teacher', model).backbone.state_dict()


def names_of(modules):
    return {f'{module}.{tensor}' for module in modules for tensor in ('weight', 'bias')}


def normalized(model, frames):
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)
    clip = model.data_preprocessor(dict(inputs=dict(clip=[clip])))['inputs']['clip'][0]
    return clip.transpose(0, 1)


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_timm_file_has_timms_names_and_the_same_numbers(model, tmp_path):
    done = export_to_timm(model, tmp_path / 'timm.pth')
    weights = torch.load(done.path, weights_only=True)
    assert set(weights) == {'cls_token', 'pos_embed', *names_of(MODULES_TIMM)}
    ours = weights_of(model)
    assert torch.equal(weights['blocks.1.attn.qkv.weight'], ours['layers.1.attn.qkv.weight'])
    assert torch.equal(weights['blocks.1.mlp.fc1.bias'], ours['layers.1.ffn.layers.0.0.bias'])
    assert torch.equal(weights['norm.weight'], ours['ln1.weight'])
    assert 'num_heads=4' in done.usage and 'mlp_ratio=2.0' in done.usage
    again = load_file(export_to_timm(model, tmp_path / 'timm.safetensors').path)
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def test_hf_folder_has_the_names_and_numbers_of_its_files(model, tmp_path):
    folder = export_to_hf(model, tmp_path / 'hf').path
    weights = load_file(folder / 'model.safetensors')
    tokens = {'embeddings.cls_token', 'embeddings.position_embeddings'}
    assert set(weights) == tokens | names_of(MODULES_HF)
    ours = weights_of(model)
    qkv = [
        weights[f'encoder.layer.1.attention.attention.{name}.weight']
        for name in ('query', 'key', 'value')
    ]
    assert torch.equal(torch.cat(qkv), ours['layers.1.attn.qkv.weight'])
    assert torch.equal(
        weights['encoder.layer.0.intermediate.dense.weight'],
        ours['layers.0.ffn.layers.0.0.weight'],
    )
    config = json.loads((folder / 'config.json').read_text())
    assert config['num_attention_heads'] == 4 and config['image_size'] == 32
    assert config['intermediate_size'] == 48 and config['layer_norm_eps'] == 1e-6
    processor = json.loads((folder / 'preprocessor_config.json').read_text())
    assert processor['image_mean'] == pytest.approx([0.485, 0.456, 0.406])


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@torch.no_grad()
def test_timm_gives_equal_features(model, frames, suffix, tmp_path):
    pytest.importorskip('timm', reason='timm is not a dependency; install it to compare features')
    done = export_to_timm(model, tmp_path / f'timm{suffix}')
    names = dict(pixels=normalized(model, frames))
    exec(done.usage, names)  # what the tool prints
    assert_close(names['features'], extract_features(model, frames))
    tokens = names['model'].forward_features(names['pixels'])[:, 1:]
    assert_close(tokens, extract_features(model, frames, pool='none'))


HF_SCRIPT = """
import sys, torch
from transformers import ViTModel
for usage, pixels, found in zip(*[iter(sys.argv[1:])] * 3):
    pixel_values = torch.load(pixels)
    with torch.no_grad():
        exec(open(usage).read())
        tokens = model(pixel_values).last_hidden_state
    torch.save(dict(features=features, tokens=tokens), found)
    options = dict(add_pooling_layer=False, output_loading_info=True)
    _, report = ViTModel.from_pretrained(model.name_or_path, **options)
    names = ('missing_keys', 'unexpected_keys', 'mismatched_keys')
    assert not any(report[name] for name in names), report
"""


@needs_transformers
def test_transformers_gives_equal_features(frames, tmp_path):
    models = dict(dora=build(dora_cfg()), maskfeat=build(maskfeat_vit_cfg()))
    files = []
    for name, model in models.items():
        done = export_to_hf(model, tmp_path / name)
        (tmp_path / f'{name}.py').write_text(done.usage)
        torch.save(normalized(model, frames), tmp_path / f'{name}_pixels.pth')
        files += [f'{name}.py', f'{name}_pixels.pth', f'{name}_found.pth']
    env = {**os.environ, 'PYTHONPATH': os.environ['MMVIDSSL_TRANSFORMERS']}
    command = [sys.executable, '-c', HF_SCRIPT, *files]
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for name, model in models.items():
        found = torch.load(tmp_path / f'{name}_found.pth', weights_only=True)
        assert_close(found['features'], extract_features(model, frames))
        assert_close(found['tokens'][:, 1:], extract_features(model, frames, pool='none'))


def test_the_role_chooses_the_backbone(tmp_path):
    model = build(dora_cfg())
    for role, backbone in dict(teacher=model.teacher.backbone, student=model.backbone).items():
        done = export_to_timm(model, tmp_path / f'{role}.pth', role)
        weights = torch.load(done.path, weights_only=True)
        assert torch.equal(weights['cls_token'], backbone.cls_token)


def test_layer_scale_goes_to_timm_but_not_to_transformers(tmp_path):
    model = build(dora_cfg(backbone=backbone_cfg(layer_scale_init_value=0.1)))
    done = export_to_timm(model, tmp_path / 'timm.pth')
    weights, ours = torch.load(done.path, weights_only=True), weights_of(model)
    assert torch.equal(weights['blocks.0.ls1.gamma'], ours['layers.0.attn.gamma1.weight'])
    assert torch.equal(weights['blocks.1.ls2.gamma'], ours['layers.1.ffn.gamma2.weight'])
    assert 'init_values=1e-05' in done.usage
    with pytest.raises(ValueError, match='4 of .*attn.gamma1'):
        export_to_hf(model, tmp_path / 'hf')
    assert not (tmp_path / 'hf').exists()


@pytest.mark.parametrize('height, width', [(16, 64), (24, 48)])
@torch.no_grad()
def test_images_that_are_no_squares(height, width, tmp_path):
    """With as many patches as a square (2 x 8, not 4 x 4), and with another number."""
    pytest.importorskip('timm', reason='timm is not a dependency; install it to compare features')
    model = build(dora_cfg(backbone=backbone_cfg(img_size=(height, width))))
    done = export_to_timm(model, tmp_path / 'timm.pth')
    assert f'img_size=({height}, {width}), patch_size=8' in done.usage
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (3, height, width, 3), np.uint8)
    names = dict(pixels=normalized(model, frames))
    exec(done.usage, names)
    assert_close(names['features'], extract_features(model, frames, pool='class'))
    with pytest.raises(ValueError, match='squares; .*to_timm.py'):
        export_to_hf(model, tmp_path / 'hf')


SWIGLU = dict(layer_cfgs=dict(ffn_type='swiglu_fused'))


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (maskfeat_cfg, 'MViT has no .*export_backbone.py'),
        (lambda: dora_cfg(backbone=backbone_cfg(final_norm=False)), 'DINOViT has no ln1'),
        (lambda: dora_cfg(backbone=backbone_cfg(**SWIGLU)), 'ffn.w12'),
        (lambda: dora_cfg(backbone=backbone_cfg(patch_size=(8, 16))), r'patches of \(8, 16\)'),
        (lambda: dora_cfg(backbone=backbone_cfg(patch_cfg=dict(stride=4))), r'every \(4, 4\)'),
    ],
    ids=['MViT', 'no norm', 'SwiGLU', 'oblong patches', 'overlapping patches'],
)
def test_other_backbones_are_refused(cfg, message, tmp_path):
    model = build(cfg())
    for export, out in ((export_to_timm, 'timm.pth'), (export_to_hf, 'hf')):
        with pytest.raises(ValueError, match=message):
            export(model, tmp_path / out)
    assert not list(tmp_path.iterdir())


def test_norms_of_another_eps_do_not_go_to_timm(tmp_path):
    model = build(dora_cfg(backbone=backbone_cfg(norm_cfg=dict(type='LN', eps=1e-5))))
    with pytest.raises(ValueError, match='1e-05'):
        export_to_timm(model, tmp_path / 'timm.pth')


def test_impossible_arguments(model, tmp_path):
    for export, out in ((export_to_timm, 'timm.pth'), (export_to_hf, 'hf')):
        export(model, tmp_path / out)
        with pytest.raises(FileExistsError, match=f'{out}.* exists'):
            export(model, tmp_path / out)
        export(model, tmp_path / out, force=True)
        with pytest.raises(TypeError, match='CONFIG, CHECKPOINT'):
            export('run.pth', tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='timm.bin'):
        export_to_timm(model, tmp_path / 'timm.bin')
