"""Files of timm's and transformers' ViTs, made and read by the libraries themselves."""

import argparse
import os
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import save_file

from mmvidssl.apis import init_backbone, init_model, load_weights
from mmvidssl.engine.checkpoint import find_coverage
from mmvidssl.registry import MODELS
from mmvidssl.utils.vit_names import OtherArchitectureError
from tests.utils_export import classifier_cfg, needs_transformers
from tests.utils_model import backbone_cfg, dora_cfg, noise

VITS = ['mmvidssl.DINOViT', 'mmvidssl.MaskFeatViT', 'mmpretrain.VisionTransformer']
PIXELS = noise(2, 3, 32, 32)


def of_timm(kind='vision_transformer.VisionTransformer', **options):
    """One of timm's models, with a head, of the size of ``backbone_cfg``."""
    timm = pytest.importorskip('timm.models', reason='the files are those of timm')
    module, name = kind.split('.')
    sizes = dict(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=4, mlp_ratio=2)
    return scatter(getattr(getattr(timm, module), name)(**sizes, num_classes=5, **options))


def scatter(model):
    """Let all weights differ."""
    for number, parameter in enumerate(model.parameters()):
        parameter.data += 0.2 * noise(*parameter.shape, seed=number)
    return model.eval()


def initialized(checkpoint, **options):
    """As MMEngine does it, by ``init_cfg`` and without any hook; all tokens come out."""
    init_cfg = dict(type='Pretrained', checkpoint=str(checkpoint))
    model = MODELS.build({**backbone_cfg(out_type='raw', init_cfg=init_cfg), **options})
    model.init_weights()
    model.eval()  # mmpretrain's gives nothing back
    return model


@torch.no_grad()
def check(model, expected):
    """All tokens of the last block."""
    torch.testing.assert_close(model(PIXELS)[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('vit', VITS)
@torch.no_grad()
def test_a_file_loads_wherever_a_file_is_named(vit, tmp_path):
    """As MAE and DeiT lay it out: weights under ``model``, with a head, a decoder, and options."""
    theirs = of_timm()
    extra = dict(mask_token=noise(1, 1, 16), decoder_embed=noise(2), decoder_pos_embed=noise(2))
    extra['decoder_blocks.0.norm1.weight'] = noise(2)
    content = dict(model={**theirs.state_dict(), **extra}, args=argparse.Namespace(lr=0.1), epoch=3)
    torch.save(content, tmp_path / 'mae.pth')
    expected = theirs.forward_features(PIXELS)
    check(initialized(tmp_path / 'mae.pth', type=vit), expected)
    alone = backbone_cfg(type=vit, out_type='raw')
    check(init_backbone(alone, tmp_path / 'mae.pth'), expected)
    cfg = classifier_cfg()
    cfg['model']['backbone'] = alone
    check(init_model(Config(cfg), tmp_path / 'mae.pth').backbone, expected)  # as by load_from
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'mae.pth'), prefix='')  # of a tool
    cfg['model']['backbone'] = {**alone, 'init_cfg': init_cfg}
    check(init_model(Config(cfg)).backbone, expected)
    init_cfg['prefix'] = 'teacher.backbone.'  # of configs of one's own data, by default
    with pytest.raises(ValueError, match="init_cfg.prefix=''"):
        init_model(Config(cfg))
    model = MODELS.build(alone)
    model.load_state_dict(load_weights(tmp_path / 'mae.pth'), strict=False)
    model.eval()
    check(model, expected)


def test_student_and_teacher_start_from_one_backbone(tmp_path):
    theirs = of_timm()
    save_file(theirs.state_dict(), tmp_path / 'vit.safetensors')
    model = init_model(
        Config(dict(default_scope='mmvidssl', model=dora_cfg())), tmp_path / 'vit.safetensors'
    )
    for backbone in (model.backbone, model.teacher.backbone):
        assert torch.equal(backbone.ln1.weight, theirs.norm.weight)


@pytest.mark.parametrize(
    ('theirs', 'ours'),
    [
        (dict(init_values=0.3), dict(layer_scale_init_value=0.1)),
        (dict(qkv_bias=False), dict(qkv_bias=False)),
        (dict(pre_norm=True), dict(pre_norm=True)),
        (dict(no_embed_class=True), {}),
    ],
    ids=str,
)
@torch.no_grad()
def test_options_of_timm(theirs, ours, tmp_path):
    theirs = of_timm(**theirs)
    save_file(theirs.state_dict(), tmp_path / 'vit.safetensors')
    expected = theirs.forward_features(PIXELS)
    check(initialized(tmp_path / 'vit.safetensors', **ours), expected)


@torch.no_grad()
def test_the_norm_of_the_mean_of_tokens(tmp_path):
    theirs = of_timm(global_pool='avg')
    torch.save(theirs.state_dict(), tmp_path / 'vit.pth')
    model = initialized(tmp_path / 'vit.pth', out_type='avg_featmap', final_norm=False)
    check(model, theirs.forward_head(theirs.forward_features(PIXELS), pre_logits=True))


NO_PLACE = dict(
    registers=(dict(reg_tokens=2), 'register tokens (reg_token)'),
    layer_scale=(dict(init_values=0.3), 'layer_scale_init_value'),
    pre_norm=(dict(pre_norm=True), 'pre_norm'),
    deeper=(dict(), 'blocks.2.norm1.weight'),
    qk_norm=(dict(qk_norm=True), 'attn.q_norm.weight'),
    distilled=(dict(kind='deit.VisionTransformerDistilled'), '(dist_token)'),
    dinov3=(dict(kind='eva.Eva', num_reg_tokens=2, use_abs_pos_emb=False), '(reg_token)'),
    beit=(dict(kind='beit.Beit', use_rel_pos_bias=True), 'relative positions'),
)


@pytest.mark.parametrize(('options', 'named'), NO_PLACE.values(), ids=NO_PLACE)
def test_what_has_no_place(options, named, tmp_path):
    weights = dict(of_timm(**options).state_dict())
    if named.startswith('blocks.2'):
        weights.update({k.replace('blocks.1', 'blocks.2'): v for k, v in weights.items()})
    refused(weights, named, tmp_path)


def test_clips_have_no_place(tmp_path):
    """VideoMAE of its authors: below ``encoder.``, without positions, and no bias of keys."""
    weights = {
        f'encoder.{name}': value for name, value in of_timm(qkv_bias=False).state_dict().items()
    }
    weights['encoder.patch_embed.proj.weight'] = noise(24, 3, 2, 8, 8)
    weights['encoder.blocks.0.attn.q_bias'] = noise(24)
    del weights['encoder.pos_embed']
    refused(dict(model=weights), 'patch_embed.proj.weight is of', tmp_path)


def refused(weights, named, tmp_path, **options):
    torch.save(weights, tmp_path / 'vit.pth')
    with pytest.raises(ValueError) as error:
        init_backbone(backbone_cfg(**options), tmp_path / 'vit.pth')
    message = str(error.value)
    assert named in message and 'vit.pth' in message
    assert 'model_converters' not in message and '\n' not in message
    with pytest.raises(OtherArchitectureError):
        initialized(tmp_path / 'vit.pth', **options)


def test_options_that_the_file_lacks(tmp_path):
    weights = of_timm().state_dict()
    refused(weights, 'layer_scale_init_value', tmp_path, layer_scale_init_value=0.1)
    swiglu = dict(layer_cfgs=dict(ffn_type='swiglu_fused'))
    refused(weights, 'swiglu_fused', tmp_path, **swiglu)


HF_SCRIPT = """
import torch, transformers
pixels = torch.load('pixels.pth')
sizes = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
             mlp_ratio=2, image_size=32, patch_size=8, layer_norm_eps=1e-6)
decoder = dict(mask_ratio=0.0, decoder_hidden_size=16, decoder_num_hidden_layers=1,
               decoder_num_attention_heads=2, decoder_intermediate_size=16)
models = dict(
    vit='ViTForImageClassification', mae='ViTMAEForPreTraining',
    dinov2='Dinov2ForImageClassification', swiglu='Dinov2Model',
    registers='Dinov2WithRegistersModel', dinov3='DINOv3ViTModel',
    deit='DeiTModel', videomae='VideoMAEForPreTraining',
)
for name, kind in models.items():
    kind = getattr(transformers, kind)
    config = kind.config_class(**sizes, **decoder, use_swiglu_ffn=name == 'swiglu')
    model = kind(config).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(name)
    if name in ('vit', 'mae', 'dinov2', 'swiglu'):
        options = dict(noise=torch.arange(16.0)[None].expand(2, -1)) if name == 'mae' else {}
        with torch.no_grad():
            tokens = getattr(model, model.base_model_prefix, model)(pixels, **options)
        torch.save(tokens.last_hidden_state, name + '/tokens.pth')
"""


@pytest.fixture(scope='module')
def hf(tmp_path_factory):
    """A folder of files of transformers, made where mmpretrain need not be imported."""
    folder = tmp_path_factory.mktemp('hf')
    torch.save(PIXELS, folder / 'pixels.pth')
    env = {**os.environ, 'PYTHONPATH': os.environ['MMVIDSSL_TRANSFORMERS']}
    command = [sys.executable, '-c', HF_SCRIPT]
    run = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder


SCALED = dict(layer_scale_init_value=0.1)


@needs_transformers
@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('vit', {}),
        ('mae', {}),
        ('dinov2', SCALED),
        ('swiglu', SCALED | dict(layer_cfgs=dict(ffn_type='swiglu_fused'))),
    ],
)
def test_files_of_transformers(name, options, hf):
    expected = torch.load(hf / name / 'tokens.pth')
    check(initialized(hf / name / 'model.safetensors', **options), expected)
    options = backbone_cfg(out_type='raw', **options)
    weights = load_weights(hf / name / 'model.safetensors')
    coverage = find_coverage(MODELS.build(options), weights)
    left = ('classifier.', 'pooler.', 'decoder.', 'mask_token')
    assert all(any(part in key for part in left) for key in coverage.unexpected)
    assert not coverage.missing


@needs_transformers
@pytest.mark.parametrize(
    ('name', 'named'),
    [
        ('dinov2', 'layer_scale_init_value'),
        ('registers', '(embeddings.register_tokens)'),
        ('dinov3', '(embeddings.register_tokens)'),
        ('deit', '(embeddings.distillation_token)'),
        ('videomae', 'of clips'),
    ],
)
def test_files_of_transformers_that_have_no_place(name, named, hf, tmp_path):
    refused(load_weights(hf / name / 'model.safetensors'), named, tmp_path)
