"""From the checkpoints of PySlowFast to ours."""

import os
from collections.abc import Mapping
from pathlib import Path

from mmvidssl.engine.checkpoint import read_content

from .convert import Conversion, Converted, check_tensors, convert_file
from .slowfast_names import rename_slowfast

WEIGHTS = 'model_state'
KNOWN = "Known are PySlowFast's checkpoints of MaskFeat, whose weights are in 'model_state'."
TRAINING = "state of PySlowFast's training"


def convert_slowfast(
    source: str | os.PathLike, target: str | os.PathLike, force: bool = False
) -> Conversion:
    """Convert a checkpoint of MaskFeat's released code to our names.

    Pretraining checkpoints (MViTv2 of videos, ViT of images) give ``backbone.*`` and ``neck.*`` of
    ``MaskFeat``; fine-tuned ones give ``backbone.*`` and ``cls_head.*`` of mmaction2's recognizer,
    or ``backbone.*`` and ``head.*`` of mmpretrain's classifier. See :func:`rename_slowfast`.
    Optimizer and schedule are not converted: train on with ``load_from``, not with ``resume``.

    Args:
        source: The released checkpoint; read with ``weights_only=True``.
        target: The new file; written whole or not at all.
        force: Whether ``target`` may exist.

    Raises:
        FileNotFoundError: if there is no such source.
        FileExistsError: if ``target`` exists and ``force`` is not set.
        ValueError: if the source is no checkpoint, or of another architecture; names the file and
            the weights.
    """
    return convert_file(source, target, force, _read, _convert)


def _read(source: Path) -> dict:
    content = read_content(str(source))
    inner = content['state_dict']
    # A file without 'state_dict' comes wrapped in one.
    return dict(inner) if set(content) == {'state_dict'} and WEIGHTS in inner else content


def _convert(content: dict) -> Converted:
    key = WEIGHTS if isinstance(content.get(WEIGHTS), Mapping) else 'state_dict'
    state_dict = content.get(key, {})
    check_tensors(key, state_dict, KNOWN)
    weights, dropped, kind, arch = rename_slowfast(state_dict)
    meta = {name: content[name] for name in ('epoch',) if isinstance(content.get(name), int)}
    if isinstance(content.get('cfg'), str):
        meta['slowfast_cfg'] = content['cfg']
    kept = dict(epoch='kept in meta', cfg='kept in meta as slowfast_cfg')
    rest = {name: kept.get(name, TRAINING) for name in content if name != key}
    return Converted(weights, arch, {**dropped, **rest}, meta, kind)
