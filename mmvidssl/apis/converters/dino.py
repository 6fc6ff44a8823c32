"""Converter of checkpoints of DoRA, DINO, iBOT and DINOv2."""

import os
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmvidssl.utils.roles import BACKBONE, PREFIXES
from mmvidssl.utils.vit_names import TO_OURS

from .files import Conversion, Converted, check_tensors, convert_file
from .vit_names import PROTOTYPES, Rules, describe_vit, rename

CENTER = 'target_generator.center'
LOSSES = ('dino_loss', 'ibot_loss')
PLAIN = (bool, int, float, str, type(None))
HEAD = r'(?:dino_)?head\.'
RULES: Rules = (
    # Left out: the mask token, and iBOT's projection of patches, which DINO's student lacks.
    (r'mask_token|masked_embed|ibot_head\..*|head\.(mlp2|last_layer2)\..*', ''),
    (HEAD + r'last_layer\.(weight_g|parametrizations\.weight\.original0)', PROTOTYPES + '0'),
    (HEAD + r'last_layer\.(weight_v|parametrizations\.weight\.original1)', PROTOTYPES + '1'),
    (HEAD + r'(mlp\.\d+\.\w+)', r'neck.\1'),
    (HEAD + r'mlp\.(\w+)', r'neck.mlp.0.\1'),  # a projection of one layer is not numbered
)


def convert_checkpoint(
    source: str | os.PathLike, target: str | os.PathLike, force: bool = False
) -> Conversion:
    """Convert a checkpoint of DoRA, DINO, iBOT or DINOv2 to our names.

    A training checkpoint (``student`` and ``teacher``) gives student, teacher and center,
    which ``load_from`` or ``init_model`` loads. With one of the two, or a backbone alone, the new
    file holds ``backbone.*`` (and ``neck.*``), which serve as student and as teacher. Optimizer and
    schedule are not converted: train on with ``load_from``, not with ``resume``.

    See :func:`convert_file` for the arguments and errors.
    """
    return convert_file(source, target, force, PREFIXES, _convert)


def _convert(content: dict) -> Converted:
    roles = [role for role in PREFIXES if isinstance(content.get(role), Mapping)]
    networks = roles or ['state_dict']
    state_dict: dict[str, Tensor] = {}
    dropped, archs = [], []
    for name in networks:
        check_tensors(name, content[name])
        where = "mmpretrain's ViT and DINO's projection"
        weights, left_out = rename(content[name], RULES, where, TO_OURS, BACKBONE)
        archs.append(describe_vit(weights))
        prefix = PREFIXES[name] if len(networks) > 1 else ''
        state_dict.update({prefix + key: value for key, value in weights.items()})
        dropped += [f'{name}.{key}' for key in left_out]
    if archs[0] != archs[-1]:
        raise ValueError(f'student and teacher are of different architectures: {archs}')
    for name in LOSSES:
        loss = content.get(name)
        if isinstance(loss, Mapping):
            state_dict.update(_convert_center(name, loss, archs[0].get('num_prototypes')))
            dropped += [f'{name}.{key}' for key in loss if key != 'center']
    dropped += [key for key in content if key not in (*networks, *LOSSES, 'epoch', 'args')]
    kind = ' and '.join(roles) or 'a backbone'
    return Converted(state_dict, kind, archs[0], dropped, _meta(content))


def _convert_center(name: str, loss: Mapping, num_prototypes: int | None) -> dict[str, Tensor]:
    center = loss.get('center')
    if not isinstance(center, Tensor) or num_prototypes is None:
        return {}
    if center.numel() != num_prototypes:
        raise ValueError(
            f'{name}.center has {center.numel()} numbers, but there are {num_prototypes} prototypes'
        )
    return {CENTER: center.reshape(1, -1)}


def _meta(content: dict) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    if isinstance(content.get('epoch'), int):
        meta['epoch'] = content['epoch']
    if isinstance(content.get('args'), Namespace):
        args = vars(content['args'])
        meta['args'] = {k: v if isinstance(v, PLAIN) else str(v) for k, v in args.items()}
    return meta
