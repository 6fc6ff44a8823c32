"""A backbone on its own, for others to load."""

import hashlib
import io
import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from mmvidssl.engine.checkpoint import read_plain
from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.utils.roles import BACKBONE, PREFIXES, PRETRAINING_ONLY, check_role, complete_teacher
from mmvidssl.version import __version__


def publish_model(
    checkpoint: str | os.PathLike, out: str | os.PathLike, role: str = 'teacher'
) -> Path:
    """Write the student's or the teacher's backbone of a checkpoint to a file of its own.

    The file holds ``state_dict`` (``backbone.*``, without the mask token, which only pretraining
    uses) and ``meta`` (plain data: ``role``, ``epoch``, ``iter``, ``date`` of the checkpoint, the
    ``config`` it was trained with, versions), opens with ``torch.load(..., weights_only=True)`` and
    is loaded by ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.

    Args:
        checkpoint: What the runner saved, or :func:`convert_checkpoint` or
            :func:`convert_slowfast` wrote.
        out: Name of the new file; eight digits of its SHA-256 are put before ``.pth``.
        role: ``'teacher'`` or ``'student'``. A checkpoint without a teacher (a released backbone)
            gives its only backbone for the teacher's, and ``meta`` says ``role='backbone'``.

    Returns:
        The new file's path.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If ``role`` is unknown, or the checkpoint has no such backbone.
    """
    content = read_plain(str(checkpoint))
    weights, role = select_weights(content, checkpoint, role)
    weights = {BACKBONE + key: value for key, value in weights.items()}
    plain = serialize(dict(state_dict=weights, meta=_plain_meta(content, role)))
    digest = hashlib.sha256(plain).hexdigest()[:8]
    published = Path(out).with_name(f'{Path(out).stem}-{digest}.pth')
    write_bytes(plain, published)
    return published


def select_weights(
    content: Mapping, checkpoint: str | os.PathLike, role: str
) -> tuple[dict[str, torch.Tensor], str]:
    """The weights of one backbone, in names without a prefix, without those of pretraining alone.

    Args:
        content: Of the checkpoint, from :func:`read_plain`.
        checkpoint: Its path, for messages.
        role: ``'teacher'`` or ``'student'``.

    Returns:
        The weights, and whose they are; ``'backbone'`` where there is but one.

    Raises:
        ValueError: If ``role`` is unknown, the checkpoint has no such backbone, or it is a
            published teacher and the student is asked for.
    """
    if role not in PREFIXES:
        raise ValueError(f'role must be one of {tuple(PREFIXES)}, got {role!r}')
    check_role(content.get('meta', {}), checkpoint, role)
    state_dict = dict(content['state_dict'])
    without_teacher = complete_teacher(state_dict)
    prefix = PREFIXES[role] + BACKBONE
    weights = {
        key.removeprefix(prefix): value.detach().clone()
        for key, value in state_dict.items()
        if key.startswith(prefix) and key.removeprefix(prefix) not in PRETRAINING_ONLY
    }
    if not weights:
        raise ValueError(f'{checkpoint} holds no weights {prefix}*: it has no {role} backbone')
    return weights, 'backbone' if role == 'teacher' and without_teacher else role


def write_plain(content: dict, path: Path) -> None:
    """Write a checkpoint whole or not at all."""
    write_bytes(serialize(content), path)


def serialize(content: dict) -> memoryview:
    """A checkpoint as ``torch.save`` writes it, which says little if it meets a full disk."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getbuffer()


def write_bytes(data: memoryview, path: Path) -> None:
    """Write a file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _plain_meta(content: dict, role: str) -> dict:
    meta = content.get('meta', {})
    kept = {key: meta[key] for key in ('epoch', 'iter') if isinstance(meta.get(key), int)}
    for key in ('seed', 'experiment_name', 'mmengine_version', 'converted_from', 'arch'):
        if isinstance(meta.get(key), (int, str, dict)):
            kept[key] = meta[key]
    if isinstance(meta.get('cfg'), str):
        kept['config'] = meta['cfg']
    # When the weights were made; MMEngine's runner writes it down.
    date = meta['time'] if isinstance(meta.get('time'), str) else time.strftime('%Y%m%d')
    return dict(role=role, date=date, mmvidssl_version=__version__, **kept)
