"""Names of a ViT's weights: mmpretrain's, which are ours, and those of timm and transformers.

The released code of MAE, DeiT, DINO, iBOT and DINOv2 uses timm's.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .listing import some

HF = 'encoder.layer.N.'
# Our name, timm's and transformers' ('' if there is none), then other names read as ours. N is the
# number of a block; .weight or .bias follows, unless a row says which.
NAMES: tuple[tuple[str, ...], ...] = (
    ('cls_token', 'cls_token', 'embeddings.cls_token'),
    ('pos_embed', 'pos_embed', 'embeddings.position_embeddings'),
    ('patch_embed.projection', 'patch_embed.proj', 'embeddings.patch_embeddings.projection'),
    ('mask_token', '', '', 'mask_token', 'embeddings.mask_token'),
    ('pre_norm', 'norm_pre', ''),
    ('ln1', 'norm', 'layernorm'),
    ('ln2', '', '', 'fc_norm'),
    ('layers.N.ln1', 'blocks.N.norm1', f'{HF}layernorm_before', f'{HF}norm1'),
    ('layers.N.ln2', 'blocks.N.norm2', f'{HF}layernorm_after', f'{HF}norm2'),
    ('layers.N.attn.qkv', 'blocks.N.attn.qkv', ''),
    ('layers.N.attn.query', '', f'{HF}attention.attention.query'),
    ('layers.N.attn.key', '', f'{HF}attention.attention.key'),
    ('layers.N.attn.value', '', f'{HF}attention.attention.value'),
    ('layers.N.attn.proj', 'blocks.N.attn.proj', f'{HF}attention.output.dense'),
    ('layers.N.ffn.layers.0.0', 'blocks.N.mlp.fc1', f'{HF}intermediate.dense', f'{HF}mlp.fc1'),
    ('layers.N.ffn.layers.1', 'blocks.N.mlp.fc2', f'{HF}output.dense', f'{HF}mlp.fc2'),
    ('layers.N.ffn.w12', '', '', 'blocks.N.mlp.w12', f'{HF}mlp.weights_in'),
    ('layers.N.ffn.w3', '', '', 'blocks.N.mlp.w3', f'{HF}mlp.weights_out'),
    *(
        (f'layers.N.{part}.gamma{i}.weight', f'blocks.N.ls{i}.gamma', '')
        + (f'blocks.N.gamma_{i}', f'{HF}layer_scale{i}.lambda1')
        for i, part in ((1, 'attn'), (2, 'ffn'))
    ),
)
TO_TIMM = {ours: timm for ours, timm, *_ in NAMES if timm}
TO_HF = {ours: hf for ours, _, hf, *_ in NAMES if hf}
TO_OURS = {name: ours for ours, *others in NAMES for name in others if name}

PATCHES = r'(.*?)(patch_embed\.proj|embeddings\.patch_embeddings\.projection)\.weight'
"""Projection of patches, in every file of theirs; group 1 is the prefix of the ViT's names."""
HEADS = (
    r'(.*\.)?decoder\w*(\..*)?|(?!(.*\.)?(blocks|layer)\.)'
    r'(.*\.)?(\w*head\w*|classifier|pooler|mask_token|norm|fc_norm|layernorm)(\..*)?'
)
"""Weights of a file that a backbone may leave unused."""
# Features of another architecture: a pattern of names that show it (ours, if there is one), what it
# is, and the option of mmpretrain's ViT for it.
FEATURES = (
    (r'(.*\.)?(reg_token|register_tokens|storage_tokens)', 'register tokens', ''),
    (r'(.*\.)?dist(illation)?_token', 'a token of distillation', ''),
    (r'(.*\.)?(rope|rotary|relative_pos)\w*(\..*)?', 'rotary or relative positions', ''),
    (r'layers\.0\.attn\.gamma1\.weight', 'layer scale', 'layer_scale_init_value (1e-5, or 0)'),
    (r'layers\.0\.ffn\.w12\.weight', 'SwiGLU', "layer_cfgs=dict(ffn_type='swiglu_fused')"),
    (r'layers\.0\.attn\.qkv\.bias', 'biases in attention', 'qkv_bias'),
    (r'pre_norm\.weight', 'a norm before the blocks', 'pre_norm'),
)


class OtherArchitectureError(Exception):
    """Weights are of another architecture than the ViT that shall load them; says what differs."""


def translate(name: str, names: Mapping[str, str]) -> str | None:
    """Translate a weight's name by ``TO_OURS``, ``TO_TIMM`` or ``TO_HF``; None if not in it."""
    name = re.sub(r'^blocks\.\d+\.(?=\d+\.)', 'blocks.', name)  # DINOv2 may store in chunks
    number = re.search(r'\.(\d+)\.', name)
    general = name.replace(number[0], '.N.', 1) if number else name
    stem, _, kind = general.rpartition('.')
    new = names.get(general) or (f'{names[stem]}.{kind}' if stem in names else None)
    return new.replace('N', number[1], 1) if new and number else new


def take_others(vit: Any, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Rename weights of a ViT of timm or transformers, in place, for one of mmpretrain's ViTs.

    Args:
        vit: The ViT.
        state_dict: Gets its names, in place of theirs; queries, keys and values become one weight,
            and positions of patches alone get a zero for the class token.
        prefix: Prefix of its names; theirs may have a longer one (``vit.``).

    Raises:
        OtherArchitectureError: if the weights are of a ViT of another architecture.
    """
    own = vit.state_dict()
    names = [name.removeprefix(prefix) for name in state_dict if name.startswith(prefix)]
    patches = [match for name in names if (match := re.fullmatch(PATCHES, name))]
    given: dict[str, list[str]] = {}  # names in the file, by ours
    for name in names if len(patches) == 1 else ():
        ours = translate(name.removeprefix(patches[0][1]), TO_OURS) or name
        given.setdefault(re.sub(r'\.(query|key|value)\.', '.qkv.', ours), []).append(name)
    foreign = {k: v[0] for k, v in given.items() if k not in own}
    left = foreign or {name: name for name in names if name not in own}
    problem = _find_difference(left, own.keys() - given.keys() if given else ())
    unknown = [name for name in foreign.values() if not re.fullmatch(HEADS, name)]
    if given and state_dict[prefix + patches[0][0]].ndim == 5:
        problem = f"{patches[0][0]} is of patches of clips, as VideoMAE's, and not of images"
    elif unknown and not problem:
        problem = f'it has nothing for {some(unknown)}'
    if problem:
        raise OtherArchitectureError(f'the {type(vit).__name__} cannot take it: {problem}')
    for name in given.pop('mask_token', ()):  # of another pretraining
        del state_dict[prefix + name]
    for ours in own.keys() & given.keys():
        theirs = sorted(given[ours], key=lambda name: ('.value.' in name, '.key.' in name))
        parts = [state_dict.pop(prefix + name) for name in theirs]  # query, key, value
        value = parts[0] if len(parts) == 1 else torch.cat(parts)
        is_square = ours == 'pos_embed' and math.isqrt(value.shape[1]) ** 2 == value.shape[1]
        if is_square and value.shape != own[ours].shape and 'cls_token' in own:
            value = nn.functional.pad(value, (0, 0, 1, 0))
        state_dict[prefix + ours] = value


def _find_difference(left: Mapping[str, str], missing: Iterable[str]) -> str:
    """Describe another architecture by the surplus (``left``) and missing names; '' if none."""
    for pattern, what, option in FEATURES:
        hint = f'; the option of the backbone is {option}' if option else ''
        for ours, name in left.items():
            if re.fullmatch(pattern, ours):
                return f'the file has {what} ({name}), and the model has not{hint}'
        if any(re.fullmatch(pattern, name) for name in missing):
            return f'the model has {what}, and the file has not{hint}'
    return ''
