"""A backbone on its own, for others to load."""

import hashlib
import io
import os
from pathlib import Path

import torch

from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.version import __version__

from .init_model import STUDENT, TEACHER, read_checkpoint

PREFIXES = {'student': STUDENT, 'teacher': TEACHER}


def publish_model(
    checkpoint: str | os.PathLike, out: str | os.PathLike, source: str = 'teacher'
) -> Path:
    """Write the student's or the teacher's backbone of a training checkpoint to a file of its own.

    The file holds ``state_dict`` (``backbone.*``) and ``meta`` (plain data), opens with
    ``torch.load(..., weights_only=True)`` and is loaded by
    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.

    Args:
        checkpoint: What the runner saved.
        out: Name of the new file; eight digits of its SHA-256 are put before ``.pth``.
        source: ``'teacher'`` or ``'student'``.

    Returns:
        The new file's path.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If ``source`` is unknown, or the checkpoint has no such backbone.
    """
    if source not in PREFIXES:
        raise ValueError(f'source must be one of {tuple(PREFIXES)}, got {source!r}')
    content = read_checkpoint(checkpoint)
    prefix = PREFIXES[source]
    weights = {
        STUDENT + key.removeprefix(prefix): value.detach().clone()
        for key, value in content['state_dict'].items()
        if key.startswith(prefix)
    }
    if not weights:
        raise ValueError(f'{checkpoint} holds no weights {prefix}*: it has no {source} backbone')
    return _save(dict(state_dict=weights, meta=_plain_meta(content, source)), Path(out))


def _plain_meta(content: dict, source: str) -> dict:
    meta = content.get('meta', {})
    kept = {k: meta[k] for k in ('epoch', 'iter') if isinstance(meta.get(k), int)}
    if isinstance(meta.get('cfg'), str):
        kept['config'] = meta['cfg']
    return dict(source=source, mmvidssl_version=__version__, **kept)


def _save(content: dict, out: Path) -> Path:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()[:8]
    published = out.with_name(f'{out.stem}-{digest}.pth')
    with atomic_path(published) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return published
