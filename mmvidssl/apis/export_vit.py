"""ViTs for timm and transformers."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from mmvidssl.utils.atomic_file import atomic_path

from .exported_vit import ExportedViT, read_vit
from .publish import write_plain
from .safetensors_file import write_safetensors

NORM_EPS = 1e-6  # mmpretrain's and timm's; transformers' own default is another
TIMM_BLOCK = {
    'ln1': 'norm1',
    'ln2': 'norm2',
    'attn.qkv': 'attn.qkv',
    'attn.proj': 'attn.proj',
    'ffn.layers.0.0': 'mlp.fc1',
    'ffn.layers.1': 'mlp.fc2',
}
TIMM_TENSORS = {
    'cls_token': 'cls_token',
    'pos_embed': 'pos_embed',
    'attn.gamma1.weight': 'ls1.gamma',
    'ffn.gamma2.weight': 'ls2.gamma',
}
TIMM_MODULES = {'patch_embed.projection': 'patch_embed.proj', 'ln1': 'norm'}
# The names in files, which transformers 4 and 5 both read; modules of 5 have others.
HF_QKV = ('query', 'key', 'value')
HF_BLOCK = {
    **{f'attn.{name}': f'attention.attention.{name}' for name in HF_QKV},
    'ln1': 'layernorm_before',
    'ln2': 'layernorm_after',
    'attn.proj': 'attention.output.dense',
    'ffn.layers.0.0': 'intermediate.dense',
    'ffn.layers.1': 'output.dense',
}
HF_MODULES = {
    'patch_embed.projection': 'embeddings.patch_embeddings.projection',
    'ln1': 'layernorm',
}
HF_TENSORS = {'cls_token': 'embeddings.cls_token', 'pos_embed': 'embeddings.position_embeddings'}


class Export(NamedTuple):
    """What was written, and how to load it."""

    path: Path
    usage: str
    """Lines of Python."""


def export_to_timm(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    role: str = 'teacher',
    num_heads: int | None = None,
    force: bool = False,
    img_size: Sequence[int] | None = None,
) -> Export:
    """Write a state dict that timm's ``VisionTransformer`` loads strictly.

    Args:
        checkpoint: See :func:`read_vit`, also for ``role``, ``num_heads`` and ``img_size``.
        out: The new file, ``.pth`` or ``.safetensors``; written whole or not at all.
        role: ``'teacher'`` or ``'student'``.
        num_heads: Attention heads.
        force: Whether ``out`` may exist.
        img_size: Height and width of the images that the positions are of.

    Raises:
        FileNotFoundError, FileExistsError, ValueError: as :func:`read_vit`, and if ``out`` exists
            or ends in something else.
    """
    out = _check_target(Path(out), force)
    if out.suffix not in ('.pth', '.safetensors'):
        raise ValueError(f'the new file must end in .pth or .safetensors, got {out}')
    vit = read_vit(checkpoint, role, num_heads, img_size)
    weights = _rename(vit.weights, TIMM_MODULES, TIMM_BLOCK, TIMM_TENSORS, 'blocks.{}.')
    if out.suffix == '.pth':
        write_plain(weights, out)
    else:
        write_safetensors(weights, out)
    return Export(out, _timm_usage(vit, out))


def export_to_hf(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    role: str = 'teacher',
    num_heads: int | None = None,
    force: bool = False,
    img_size: Sequence[int] | None = None,
) -> Export:
    """Write a folder that transformers' ``ViTModel.from_pretrained`` loads, without its pooler.

    The folder holds ``model.safetensors``, ``config.json`` and ``preprocessor_config.json`` (for
    ``ViTImageProcessor``: to the model's image size and normalisation).

    Args:
        checkpoint: See :func:`read_vit`, also for ``role``, ``num_heads`` and ``img_size``.
        out: The folder.
        role: ``'teacher'`` or ``'student'``.
        num_heads: Attention heads.
        force: Whether the folder may hold a model.
        img_size: Height and width of the images that the positions are of.

    Raises:
        FileNotFoundError, FileExistsError, ValueError: as :func:`read_vit`, and if the folder holds
            a model, or the ViT has layer scale or positions of an image that is not square.
    """
    out = Path(out)
    _check_target(out / 'model.safetensors', force)
    vit = read_vit(checkpoint, role, num_heads, img_size)
    if not isinstance(vit.arch['img_size'], int):
        raise ValueError(
            f'{checkpoint}: the positions are of images of {vit.arch["img_size"]} pixels, but '
            "transformers' ViTModel takes squares. timm takes others: "
            'tools/model_converters/to_timm.py'
        )
    weights = _rename(
        _split_qkv(vit.weights), HF_MODULES, HF_BLOCK, HF_TENSORS, 'encoder.layer.{}.'
    )
    out.mkdir(parents=True, exist_ok=True)
    _write_json(_hf_config(vit), out / 'config.json')
    _write_json(_hf_processor(vit), out / 'preprocessor_config.json')
    write_safetensors(weights, out / 'model.safetensors')
    usage = (
        'from transformers import ViTModel\n'
        f'model = ViTModel.from_pretrained({str(out)!r}, add_pooling_layer=False)\n'
        'features = model(pixel_values).last_hidden_state[:, 0]'
    )
    return Export(out, usage)


def _check_target(out: Path, force: bool) -> Path:
    if out.exists() and not force:
        raise FileExistsError(
            f'{out} exists already; choose another name, or pass --force to overwrite it'
        )
    return out


def _rename(
    weights: dict[str, Tensor],
    modules: dict[str, str],
    block: dict[str, str],
    tensors: dict[str, str],
    prefix: str,
) -> dict[str, Tensor]:
    """mmpretrain's names -> another library's.

    Raises:
        ValueError: names what has no counterpart there.
    """
    renamed, unknown = {}, []
    for key, value in weights.items():
        start, table, name = '', modules, key
        if key.startswith('layers.'):
            _, index, name = key.split('.', 2)
            start, table = prefix.format(index), block
        module, _, tensor = name.rpartition('.')
        if module in table:
            renamed[f'{start}{table[module]}.{tensor}'] = value.float().contiguous()
        elif name in tensors:
            renamed[start + tensors[name]] = value.float().contiguous()
        else:
            unknown.append(key)
    if unknown:
        raise ValueError(
            f'{len(unknown)} weights have no counterpart there (of a SwiGLU, a '
            f'layer scale or the norm of a fine-tuned model?): {", ".join(unknown[:8])}'
        )
    return renamed


def _split_qkv(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """``attn.qkv`` -> ``attn.query``, ``attn.key`` and ``attn.value``."""
    split = {}
    for key, value in weights.items():
        if 'attn.qkv.' in key:
            for name, part in zip(HF_QKV, value.chunk(3), strict=True):
                split[key.replace('attn.qkv.', f'attn.{name}.')] = part
        else:
            split[key] = value
    return split


def _timm_usage(vit: ExportedViT, out: Path) -> str:
    arch = vit.arch
    options: dict[str, Any] = dict(
        img_size=arch['img_size'],
        patch_size=arch['patch_size'],
        embed_dim=arch['embed_dims'],
        depth=arch['num_layers'],
        num_heads=arch['num_heads'],
        mlp_ratio=arch['feedforward_channels'] / arch['embed_dims'],
        qkv_bias=arch['qkv_bias'],
        init_values=1e-5 if arch['layer_scale'] else None,
        num_classes=0,
    )
    named = ', '.join(f'{key}={value}' for key, value in options.items())
    module, read = 'torch', f'torch.load({str(out)!r}, weights_only=True)'
    if out.suffix == '.safetensors':
        module, read = 'safetensors.torch', f'safetensors.torch.load_file({str(out)!r})'
    return (
        f'import {module}\n'
        'from timm.models.vision_transformer import VisionTransformer\n'
        f'model = VisionTransformer({named})\n'
        f'model.load_state_dict({read})\n'
        'features = model.eval()(pixels)'
    )


def _hf_config(vit: ExportedViT) -> dict:
    return dict(
        architectures=['ViTModel'],
        model_type='vit',
        hidden_size=vit.arch['embed_dims'],
        num_hidden_layers=vit.arch['num_layers'],
        num_attention_heads=vit.arch['num_heads'],
        intermediate_size=vit.arch['feedforward_channels'],
        image_size=vit.arch['img_size'],
        patch_size=vit.arch['patch_size'],
        num_channels=3,
        qkv_bias=vit.arch['qkv_bias'],
        hidden_act='gelu',
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=NORM_EPS,
        torch_dtype='float32',
    )


def _hf_processor(vit: ExportedViT) -> dict:
    side = vit.arch['img_size']
    return dict(
        image_processor_type='ViTImageProcessor',
        do_resize=True,
        size=dict(height=side, width=side),
        resample=3,  # bicubic
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=[value / 255 for value in vit.mean],
        image_std=[value / 255 for value in vit.std],
    )


def _write_json(content: dict, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
