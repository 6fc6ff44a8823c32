"""Roles of weights in a checkpoint, student or teacher, by their names."""

import os
from collections.abc import Collection, Mapping

from torch import Tensor

from .token_grid import note_token_grid

BACKBONE, NECK, TEACHER = 'backbone.', 'neck.', 'teacher.'
AVERAGE = 'target_generator.teacher.'
"""Prefix of a backbone's moving average that is only a target generator."""
PRETRAINING_ONLY = ('mask_token',)
"""Weights of a backbone that only its pretraining uses, by their name in the backbone."""
PREFIXES = dict(student='', teacher=TEACHER)
"""Prefix of ``backbone.`` and ``neck.`` in the names of weights, by role."""


def is_bare(names: Collection[str]) -> bool:
    """Whether weights are of a backbone alone: no name has the prefix ``backbone.``."""
    return any('patch_embed' in n for n in names) and not any(BACKBONE in n for n in names)


def prepare_checkpoint(checkpoint: dict) -> dict:
    """Copy weights from ``model`` (MAE, DeiT) or ``module`` to ``state_dict``; note token grids."""
    for name in ('model', 'module'):
        if 'state_dict' not in checkpoint and isinstance(checkpoint.get(name), Mapping):
            checkpoint = {**checkpoint, 'state_dict': checkpoint[name]}
    note_token_grid(checkpoint.get('state_dict', checkpoint), checkpoint.get('meta'))
    return checkpoint


def check_role(meta: Mapping, checkpoint: str | os.PathLike, role: str | None) -> None:
    """Refuse to take a published teacher for the student.

    Args:
        meta: ``meta`` of the checkpoint.
        checkpoint: Its name, for the message.
        role: The role that is asked for.

    Raises:
        ValueError: says how to get the student's.
    """
    if role == 'student' and meta.get('role') == 'teacher':
        raise ValueError(
            f"{checkpoint} is the published backbone of a teacher (role='teacher' in its meta), "
            "and role='student' asks for the student's. Publish that one from the checkpoint of "
            'the run (tools/model_converters/publish_model.py CHECKPOINT OUT --role student), or '
            'leave out role.'
        )


def select_weights(
    content: Mapping, checkpoint: str | os.PathLike, role: str
) -> tuple[dict[str, Tensor], str]:
    """Weights of one role's backbone, without prefix, and without those of pretraining only.

    Args:
        content: ``state_dict`` and ``meta`` of the checkpoint.
        checkpoint: Its path, for messages.
        role: ``'teacher'`` or ``'student'``.

    Returns:
        The weights, and their role; ``'backbone'`` if there is no separate teacher.

    Raises:
        ValueError: If ``role`` is unknown, the checkpoint has no such backbone, or it is a
            published teacher and the student is asked for.
    """
    if role not in PREFIXES:
        raise ValueError(f'role must be one of {tuple(PREFIXES)}, got {role!r}')
    check_role(content['meta'], checkpoint, role)
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
    note_token_grid(weights, content['meta'])
    return weights, 'backbone' if role == 'teacher' and without_teacher else role


def complete_teacher(state_dict: dict[str, Tensor], prefix: str = '') -> bool:
    """Use the weights of a student, or of a backbone alone, for the teacher as well, in place.

    Args:
        state_dict: Gets ``teacher.backbone.*`` and ``teacher.neck.*`` if it has no ``teacher.*``.
        prefix: Prefix of all names of the model within ``state_dict``.

    Returns:
        Whether there was no teacher.
    """
    if any(key.startswith(prefix + TEACHER) for key in state_dict):
        return False
    for key in list(state_dict):
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and name.startswith((BACKBONE, NECK)):
            state_dict[prefix + TEACHER + name] = state_dict[key]
    return True


def complete_average(state_dict: dict[str, Tensor], prefix: str = '') -> None:
    """Use the weights of a backbone for its moving average as well, in place.

    Args:
        state_dict: Gets ``target_generator.teacher.*`` of ``backbone.*`` if it has none.
        prefix: Prefix of all names of the model within ``state_dict``.
    """
    if any(key.startswith(prefix + AVERAGE) for key in state_dict):
        return
    for key in list(state_dict):
        if key.startswith(prefix + BACKBONE):
            state_dict[prefix + AVERAGE + key.removeprefix(prefix + BACKBONE)] = state_dict[key]
