"""ViTs for timm and transformers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import (
    export_to_hf,
    export_to_timm,
    extract_features,
    publish_model,
)
from mmvidssl.apis.plain_config import read_plain_config
from mmvidssl.apis.safetensors_file import write_safetensors
from tests.utils_export import maskfeat_vit_cfg, write
from tests.utils_model import backbone_cfg, dora_cfg, maskfeat_cfg

BLOCK_TIMM = [
    *('norm1.weight', 'norm1.bias', 'attn.qkv.weight', 'attn.qkv.bias', 'attn.proj.weight'),
    *('attn.proj.bias', 'norm2.weight', 'norm2.bias', 'mlp.fc1.weight', 'mlp.fc1.bias'),
    *('mlp.fc2.weight', 'mlp.fc2.bias'),
]
NAMES_TIMM = [
    *('cls_token', 'pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias'),
    *(f'blocks.{index}.{name}' for index in range(2) for name in BLOCK_TIMM),
    *('norm.weight', 'norm.bias'),
]
BLOCK_HF = [
    *('layernorm_before', 'attention.attention.query', 'attention.attention.key'),
    *('attention.attention.value', 'attention.output.dense', 'layernorm_after'),
    *('intermediate.dense', 'output.dense'),
]
MODULES_HF = [
    'embeddings.patch_embeddings.projection',
    *(f'encoder.layer.{index}.{name}' for index in range(2) for name in BLOCK_HF),
    'layernorm',
]
NAMES_HF = [
    *('embeddings.cls_token', 'embeddings.position_embeddings'),
    *(f'{module}.{tensor}' for module in MODULES_HF for tensor in ('weight', 'bias')),
]


@pytest.fixture(params=['dora', 'maskfeat'])
def vit(request, tmp_path):
    """A model with a ViT of 4 heads for images of 32 x 32, and its checkpoint."""
    cfg = dora_cfg() if request.param == 'dora' else maskfeat_vit_cfg()
    return write(cfg, tmp_path / 'run.pth'), tmp_path / 'run.pth'


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)


def normalized(model, frames):
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)
    clip = model.data_preprocessor(dict(inputs=dict(clip=[clip])))['inputs']['clip'][0]
    return clip.transpose(0, 1)


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """By the format's description, not by the code under test."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8 : 8 + size])
    assert header.pop('__metadata__') == {'format': 'pt'} and size % 8 == 0
    numbers = np.frombuffer(data[8 + size :], '<f4')
    begins_and_ends = sorted(item['data_offsets'] for item in header.values())
    assert begins_and_ends[0][0] == 0 and begins_and_ends[-1][1] == 4 * len(numbers)
    tensors = {}
    for name, item in header.items():
        begin, end = item['data_offsets']
        part = numbers[begin // 4 : end // 4].reshape(item['shape'])
        tensors[name] = torch.from_numpy(part.copy())
    return tensors


def test_timm_file_has_timms_names_and_the_same_numbers(vit, tmp_path):
    model, checkpoint = vit
    backbone = model.teacher.backbone if hasattr(model, 'teacher') else model.backbone
    done = export_to_timm(checkpoint, tmp_path / 'timm.pth')
    weights = torch.load(done.path, weights_only=True)
    assert sorted(weights) == sorted(NAMES_TIMM)
    ours = backbone.state_dict()
    assert torch.equal(weights['blocks.1.attn.qkv.weight'], ours['layers.1.attn.qkv.weight'])
    assert torch.equal(weights['blocks.1.mlp.fc1.bias'], ours['layers.1.ffn.layers.0.0.bias'])
    assert torch.equal(weights['norm.weight'], ours['ln1.weight'])
    assert 'num_heads=4' in done.usage and 'mlp_ratio=2.0' in done.usage
    export_to_timm(checkpoint, tmp_path / 'timm.safetensors')
    again = read_safetensors(tmp_path / 'timm.safetensors')
    assert list(again) == list(weights)
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def test_hf_folder_has_the_names_and_numbers_of_its_files(vit, tmp_path):
    model, checkpoint = vit
    backbone = model.teacher.backbone if hasattr(model, 'teacher') else model.backbone
    folder = export_to_hf(checkpoint, tmp_path / 'hf').path
    weights = read_safetensors(folder / 'model.safetensors')
    assert sorted(weights) == sorted(NAMES_HF)
    ours = backbone.state_dict()
    parts = [
        weights[f'encoder.layer.1.attention.attention.{n}.bias'] for n in ('query', 'key', 'value')
    ]
    assert torch.equal(torch.cat(parts), ours['layers.1.attn.qkv.bias'])
    config = json.loads((folder / 'config.json').read_text())
    assert config['num_attention_heads'] == 4 and config['image_size'] == 32
    assert config['intermediate_size'] == 48 and config['layer_norm_eps'] == 1e-6
    processor = json.loads((folder / 'preprocessor_config.json').read_text())
    assert processor['image_mean'] == pytest.approx([0.485, 0.456, 0.406])


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@torch.no_grad()
def test_timm_gives_equal_features(vit, frames, suffix, tmp_path):
    pytest.importorskip('timm', reason='timm is not a dependency; install it to compare features')
    model, checkpoint = vit
    published = publish_model(checkpoint, tmp_path / 'vit.pth')
    done = export_to_timm(published, tmp_path / f'timm{suffix}')
    names = dict(pixels=normalized(model, frames))
    exec(done.usage, names)  # what the tool prints
    torch.testing.assert_close(
        names['features'], extract_features(model, frames, pool='class'), atol=1e-5, rtol=1e-4
    )
    tokens = names['model'].forward_features(names['pixels'])[:, 1:]
    torch.testing.assert_close(
        tokens, extract_features(model, frames, pool='none'), atol=1e-5, rtol=1e-4
    )


HF_SCRIPT = """
import sys, torch
from transformers import ViTModel
pixel_values = torch.load('pixels.pth')
with torch.no_grad():
    exec(open('usage.py').read())
    tokens = model(pixel_values).last_hidden_state
_, report = ViTModel.from_pretrained('hf', add_pooling_layer=False, output_loading_info=True)
names = ('missing_keys', 'unexpected_keys', 'mismatched_keys')
assert not any(report[name] for name in names), report
torch.save(dict(features=features, tokens=tokens), 'found.pth')
"""


@pytest.mark.skipif(
    'MMVIDSSL_TRANSFORMERS' not in os.environ,
    reason='mmpretrain does not import where transformers is installed; to compare features with '
    'it, name a folder made by `pip install --target FOLDER -r requirements/transformers.txt` in '
    'MMVIDSSL_TRANSFORMERS, as .ci/run does',
)
def test_transformers_gives_equal_features(vit, frames, tmp_path):
    model, checkpoint = vit
    done = export_to_hf(checkpoint, tmp_path / 'hf')
    (tmp_path / 'usage.py').write_text(done.usage)
    torch.save(normalized(model, frames), tmp_path / 'pixels.pth')
    env = {**os.environ, 'PYTHONPATH': os.environ['MMVIDSSL_TRANSFORMERS']}
    run = subprocess.run(
        [sys.executable, '-c', HF_SCRIPT], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    found = torch.load(tmp_path / 'found.pth', weights_only=True)
    for name, pool in dict(features='class', tokens='none').items():
        expected = extract_features(model, frames, pool=pool)
        ours = found[name][:, 1:] if pool == 'none' else found[name]
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_layer_scale_goes_to_timm_but_not_to_transformers(tmp_path):
    cfg = dora_cfg(backbone=backbone_cfg(layer_scale_init_value=0.1))
    write(cfg, tmp_path / 'run.pth')
    done = export_to_timm(tmp_path / 'run.pth', tmp_path / 'timm.pth')
    assert 'blocks.0.ls1.gamma' in torch.load(done.path, weights_only=True)
    assert 'init_values=1e-05' in done.usage
    with pytest.raises(ValueError, match='4 weights have no counterpart.*gamma1'):
        export_to_hf(tmp_path / 'run.pth', tmp_path / 'hf')
    assert not (tmp_path / 'hf').exists()


def test_heads_come_from_the_config_the_argument_or_the_width(tmp_path):
    model = write(dora_cfg(), tmp_path / 'run.pth')
    with pytest.raises(ValueError, match='num_heads=3, but its config says 4'):
        export_to_timm(tmp_path / 'run.pth', tmp_path / 'timm.pth', num_heads=3)
    torch.save(model.state_dict(), tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='bare.pth: give num_heads, a divisor of its 24 channels'):
        export_to_timm(tmp_path / 'bare.pth', tmp_path / 'timm.pth')
    done = export_to_timm(tmp_path / 'bare.pth', tmp_path / 'timm.pth', num_heads=6)
    assert 'num_heads=6' in done.usage
    named = Config(dict(model=dora_cfg(backbone=backbone_cfg(arch='deit-small'))))
    content = dict(state_dict=model.state_dict(), meta=dict(cfg=named.pretty_text))
    torch.save(content, tmp_path / 'named.pth')
    done = export_to_timm(tmp_path / 'named.pth', tmp_path / 'timm.pth', force=True)
    assert 'num_heads=6' in done.usage


@pytest.mark.parametrize('height, width, number', [(16, 64, 16), (24, 48, 18), (32, 32, 16)])
@torch.no_grad()
def test_positions_of_images_that_are_no_squares(height, width, number, tmp_path):
    """As many positions as of a square (2 x 8 patches, not 4 x 4), and another number."""
    pytest.importorskip('timm', reason='timm is not a dependency; install it to compare features')
    model = write(dora_cfg(backbone=backbone_cfg(img_size=(height, width))), tmp_path / 'run.pth')
    done = export_to_timm(tmp_path / 'run.pth', tmp_path / 'timm.pth')
    size = str(height if height == width else (height, width))
    assert f'img_size={size}, patch_size=8' in done.usage
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (3, height, width, 3), np.uint8)
    names = dict(pixels=normalized(model, frames))
    exec(done.usage, names)
    torch.testing.assert_close(
        names['features'], extract_features(model, frames, pool='class'), atol=1e-5, rtol=1e-4
    )
    # Without a config in the file, the number of positions alone is known.
    torch.save(model.state_dict(), tmp_path / 'bare.pth')
    options = dict(num_heads=4, force=True)
    again = export_to_timm(
        tmp_path / 'bare.pth', tmp_path / 'timm.pth', img_size=(height, width), **options
    )
    assert again.usage == done.usage
    if number != 16:
        with pytest.raises(ValueError, match=f'its {number} positions .*--img-size HEIGHT WIDTH'):
            export_to_timm(tmp_path / 'bare.pth', tmp_path / 'timm.pth', **options)
    if height != width:
        message = r'run.pth: the positions are of images of .* takes squares.*to_timm.py'
        with pytest.raises(ValueError, match=message):
            export_to_hf(tmp_path / 'run.pth', tmp_path / 'hf')


def test_image_sizes_that_do_not_fit(tmp_path):
    model = write(dora_cfg(), tmp_path / 'run.pth')
    with pytest.raises(ValueError, match=r'img_size=\(16, 64\), but its config says 32; leave'):
        export_to_timm(tmp_path / 'run.pth', tmp_path / 'timm.pth', img_size=(16, 64))
    torch.save(model.state_dict(), tmp_path / 'bare.pth')
    for size, message in [
        (
            (32, 64),
            r'img_size=\(32, 64\) is of 4x8 patches of 8 pixels, but there are 16 positions',
        ),
        ((1, 2, 3), 'must be height and width in pixels'),
        ((0, 8), 'must be height and width in pixels'),
    ]:
        with pytest.raises(ValueError, match=f'bare.pth: .*{message}'):
            export_to_timm(tmp_path / 'bare.pth', tmp_path / 'timm.pth', num_heads=4, img_size=size)


def test_vits_without_a_norm_or_a_class_token_are_told_from_other_models(tmp_path):
    model = write(dora_cfg(), tmp_path / 'run.pth')
    weights = {f'backbone.{k}': v for k, v in model.backbone.state_dict().items()}
    normless = {k: v for k, v in weights.items() if not k.startswith('backbone.ln1')}
    tokenless = {k: v for k, v in weights.items() if k != 'backbone.cls_token'}
    oblong = {**weights, 'backbone.patch_embed.projection.weight': torch.zeros(24, 3, 8, 16)}
    for changed, message in [
        (normless, r'the ViT has no final norm \(ln1\), as fine-tuned .* of its pretraining'),
        (tokenless, 'the ViT has no class token, as fine-tuned'),
        (oblong, 'the ViT has patches of 8x16'),
        ({'backbone.conv1.weight': torch.zeros(1)}, 'the backbone is no ViT: cls_token, .*conv1'),
    ]:
        torch.save(changed, tmp_path / 'bare.pth')
        with pytest.raises(ValueError, match=message) as error:
            export_to_timm(tmp_path / 'bare.pth', tmp_path / 'timm.pth')
        assert 'MViT' not in str(error.value) and 'export_backbone.py' in str(error.value)


def test_what_is_no_plain_vit_is_refused(tmp_path):
    write(maskfeat_cfg(), tmp_path / 'mvit.pth')
    write(dora_cfg(), tmp_path / 'run.pth')
    for export, out in ((export_to_timm, 'timm.pth'), (export_to_hf, 'hf')):
        with pytest.raises(
            ValueError, match='mvit.pth: the backbone is an MViT.*export_backbone.py'
        ):
            export(tmp_path / 'mvit.pth', tmp_path / out)
        with pytest.raises(FileNotFoundError, match='none.pth'):
            export(tmp_path / 'none.pth', tmp_path / out)
        export(tmp_path / 'run.pth', tmp_path / out)
        with pytest.raises(FileExistsError, match='exists already'):
            export(tmp_path / 'run.pth', tmp_path / out)
    with pytest.raises(ValueError, match='must end in .pth or .safetensors'):
        export_to_timm(tmp_path / 'run.pth', tmp_path / 'timm.bin')


def test_config_in_a_checkpoint_is_read_but_not_run(tmp_path):
    marker = tmp_path / 'ran'
    text = (
        f"import os\nos.mkdir({str(marker)!r})\nevil = open({str(marker)!r}, 'w')\n"
        "model = dict(type='DoRA', backbone=dict(arch=dict(num_heads=4), sizes=(-1, 2)), "
        "**{'a-b': 1})"
    )
    config = read_plain_config(dict(cfg=text))
    assert config == {
        'model': {
            'type': 'DoRA',
            'backbone': {'arch': {'num_heads': 4}, 'sizes': [-1, 2]},
            'a-b': 1,
        }
    }
    assert not marker.exists()
    assert read_plain_config(dict(cfg='model = (')) == {} == read_plain_config({})


def test_safetensors_of_any_layout(tmp_path):
    tensors = dict(
        scalar=torch.tensor(2.0),
        turned=torch.arange(6.0).reshape(2, 3).t(),
        half=torch.ones(3).half(),
    )
    write_safetensors(tensors, tmp_path / 'a.safetensors')
    again = read_safetensors(tmp_path / 'a.safetensors')
    for name, value in tensors.items():
        assert torch.equal(again[name], value.float()), name
