"""Exporters of ViTs to timm and transformers."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.utils.vit_names import TO_HF, TO_TIMM

from ..features import FeatureExtractor, find_normalization, select_backbone
from .files import check_target, write_plain
from .vit_names import rename

TIMM_EPS = 1e-6


class Export(NamedTuple):
    """What was written, and how to load it."""

    path: Path
    usage: str
    """Python lines that load it; ``features`` are those of :class:`FeatureExtractor`'s defaults."""


def export_to_timm(
    model: nn.Module, out: str | os.PathLike, role: str | None = None, force: bool = False
) -> Export:
    """Write a state dict that timm's ``VisionTransformer`` loads strictly.

    Args:
        model: Model with a ViT, from :func:`init_model`.
        out: The new file, ``.pth`` or ``.safetensors``; written whole or not at all.
        role: See :func:`select_backbone`.
        force: Whether ``out`` may exist.

    Raises:
        FileExistsError: if ``out`` exists and ``force`` is not set.
        ValueError: if ``out`` ends in something else, or the backbone is no ViT that timm has.
    """
    out = Path(out)
    check_target(out, force)
    if out.suffix not in ('.pth', '.safetensors'):
        raise ValueError(f'the new file must end in .pth or .safetensors, got {out}')
    weights, arch = _read_vit(model, role)
    if arch['norm_eps'] != TIMM_EPS:
        raise ValueError(f"eps of the norms is {arch['norm_eps']}, timm's is {TIMM_EPS}")
    weights = _rename(weights, TO_TIMM, "timm's VisionTransformer")
    if out.suffix == '.pth':
        write_plain(weights, out)
    else:
        _write_safetensors(weights, out)
    return Export(out, _timm_usage(arch, 'blocks.0.ls1.gamma' in weights, out))


def export_to_hf(
    model: nn.Module, out: str | os.PathLike, role: str | None = None, force: bool = False
) -> Export:
    """Write a folder that transformers' ``ViTModel.from_pretrained`` loads, without its pooler.

    The folder holds ``model.safetensors``, ``config.json`` and ``preprocessor_config.json`` (for
    ``ViTImageProcessor``: to the model's image size and normalisation).

    Args:
        model: Model with a ViT, from :func:`init_model`.
        out: The folder.
        role: See :func:`select_backbone`.
        force: Whether the folder may hold a model.

    Raises:
        FileExistsError: if the folder holds a model and ``force`` is not set.
        ValueError: if the backbone is no ViT that transformers has: with layer scale, or for images
            that are no squares.
    """
    out = Path(out)
    check_target(out / 'model.safetensors', force)
    weights, arch = _read_vit(model, role)
    if not isinstance(arch['img_size'], int):
        raise ValueError(
            f"the ViT is for images of {arch['img_size']} pixels, and transformers' ViTModel for "
            'squares; export it by tools/model_converters/to_timm.py'
        )
    weights = _rename(_split_qkv(weights), TO_HF, "transformers' ViTModel")
    out.mkdir(parents=True, exist_ok=True)
    _write_json(_hf_config(arch), out / 'config.json')
    _write_json(_hf_processor(model, arch['img_size']), out / 'preprocessor_config.json')
    _write_safetensors(weights, out / 'model.safetensors')
    pooled = '[:, 0]' if arch['global_pool'] == 'token' else '[:, 1:].mean(dim=1)'
    usage = (
        'from transformers import ViTModel\n'
        f'model = ViTModel.from_pretrained({str(out)!r}, add_pooling_layer=False)\n'
        f'features = model(pixel_values).last_hidden_state{pooled}'
    )
    return Export(out, usage)


def _read_vit(model: nn.Module, role: str | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights in mmpretrain's names, and the architecture; ``img_size`` is a pair unless square.

    Raises:
        ValueError: if the backbone is no ViT as DINO's; says what it lacks.
    """
    backbone = select_backbone(model, role)
    parts = ('patch_embed', 'cls_token', 'pos_embed', 'layers', 'ln1')
    lacking = [name for name in parts if getattr(backbone, name, None) is None]
    projection = None if lacking else backbone.patch_embed.projection
    kernel: tuple[int, ...] = getattr(projection, 'kernel_size', ())
    stride = getattr(projection, 'stride', ())
    if len(set(kernel)) != 1 or len(kernel) != 2 or kernel != stride:
        patches = f'has patches of {kernel} every {stride}'
        what = f'has no {", ".join(lacking)}' if lacking else patches
        raise ValueError(
            f'the {type(backbone).__name__} {what}; timm and transformers have ViTs with class '
            'token, final norm (ln1) and square patches side by side. '
            'tools/model_converters/export_backbone.py exports any backbone as it is.'
        )
    weights = backbone.state_dict()
    height, width = (kernel[0] * side for side in backbone.patch_resolution)
    arch = dict(
        img_size=height if height == width else (height, width),
        patch_size=kernel[0],
        embed_dim=backbone.embed_dims,
        depth=len(backbone.layers),
        num_heads=backbone.layers[0].attn.num_heads,
        feedforward_channels=len(weights.get('layers.0.ffn.layers.0.0.weight', ())),
        qkv_bias='layers.0.attn.qkv.bias' in weights,
        norm_eps=backbone.ln1.eps,
        global_pool='token' if FeatureExtractor(model, role=role).pool == 'class' else 'avg',
    )
    return weights, arch


def _rename(weights: dict[str, Tensor], names: dict[str, str], where: str) -> dict[str, Tensor]:
    """Rename weights, as float32 on the CPU, without shared memory."""
    renamed, _ = rename(weights, ((r'mask_token', ''),), where, names)
    layout = torch.contiguous_format
    return {k: v.detach().cpu().float().clone(memory_format=layout) for k, v in renamed.items()}


def _split_qkv(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """``attn.qkv`` -> ``attn.query``, ``attn.key`` and ``attn.value``."""
    split = {}
    for key, value in weights.items():
        if 'attn.qkv.' in key:
            for name, part in zip(('query', 'key', 'value'), value.chunk(3), strict=True):
                split[key.replace('attn.qkv.', f'attn.{name}.')] = part
        else:
            split[key] = value
    return split


def _timm_usage(arch: dict[str, Any], layer_scale: bool, out: Path) -> str:
    names = ('img_size', 'patch_size', 'embed_dim', 'depth', 'num_heads', 'qkv_bias', 'global_pool')
    options = {name: arch[name] for name in names}
    options['mlp_ratio'] = arch['feedforward_channels'] / arch['embed_dim']
    options['init_values'] = 1e-5 if layer_scale else None
    options['fc_norm'] = False  # the norm comes before pooling, also by average
    named = ', '.join(f'{key}={value!r}' for key, value in options.items())
    module, read = 'torch', f'torch.load({str(out)!r}, weights_only=True)'
    if out.suffix == '.safetensors':
        module, read = 'safetensors.torch', f'safetensors.torch.load_file({str(out)!r})'
    return (
        f'import {module}\n'
        'from timm.models.vision_transformer import VisionTransformer\n'
        f'model = VisionTransformer({named}, num_classes=0)\n'
        f'model.load_state_dict({read})\n'
        'features = model.eval()(pixels)'
    )


def _hf_config(arch: dict[str, Any]) -> dict:
    return dict(
        architectures=['ViTModel'],
        model_type='vit',
        hidden_size=arch['embed_dim'],
        num_hidden_layers=arch['depth'],
        num_attention_heads=arch['num_heads'],
        intermediate_size=arch['feedforward_channels'],
        image_size=arch['img_size'],
        patch_size=arch['patch_size'],
        num_channels=3,
        qkv_bias=arch['qkv_bias'],
        hidden_act='gelu',
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=arch['norm_eps'],
        torch_dtype='float32',
    )


def _hf_processor(model: nn.Module, side: int) -> dict:
    mean, std = ([round(v / 255, 6) for v in part.tolist()] for part in find_normalization(model))
    return dict(
        image_processor_type='ViTImageProcessor',
        do_resize=True,
        size=dict(height=side, width=side),
        resample=3,  # bicubic
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=mean,
        image_std=std,
    )


def _write_json(content: dict, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def _write_safetensors(weights: dict[str, Tensor], path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(weights, metadata={'format': 'pt'}))
