"""Publishing a backbone: a file of its own, for ``init_cfg``."""

import os
import time
from pathlib import Path

from mmvidssl.engine.checkpoint import read_plain
from mmvidssl.utils.roles import BACKBONE, select_weights
from mmvidssl.version import __version__

from .files import write_plain


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
    plain = dict(state_dict=weights, meta=_plain_meta(content['meta'], role))
    return write_plain(plain, Path(out), add_hash=True)


def _plain_meta(meta: dict, role: str) -> dict:
    kept = {key: meta[key] for key in ('epoch', 'iter') if isinstance(meta.get(key), int)}
    for key in ('seed', 'experiment_name', 'mmengine_version', 'converted_from', 'arch'):
        if isinstance(meta.get(key), (int, str, dict)):
            kept[key] = meta[key]
    if isinstance(meta.get('cfg'), str):
        kept['config'] = meta['cfg']
    # When the weights were made; MMEngine's runner writes it down.
    date = meta['time'] if isinstance(meta.get('time'), str) else time.strftime('%Y%m%d')
    return dict(role=role, date=date, mmvidssl_version=__version__, **kept)
