"""Roles of weights in a checkpoint, student or teacher, by their names."""

import os
from collections.abc import Collection, Mapping

from torch import Tensor

from .token_grid import note_token_grid

BACKBONE, NECK, TEACHER = 'backbone.', 'neck.', 'teacher.'
AVERAGE = 'target_generator.teacher.'
"""What comes before the names of a backbone's moving average that only says targets."""
PRETRAINING_ONLY = ('mask_token',)
"""Weights of a backbone that only its pretraining uses, by their name in the backbone."""
PREFIXES = dict(student='', teacher=TEACHER)
"""What comes before ``backbone.`` and ``neck.`` in the names of each role."""


def is_bare(names: Collection[str]) -> bool:
    """Whether a file holds a backbone alone, under its own names or another library's."""
    return any('patch_embed' in n for n in names) and not any(BACKBONE in n for n in names)


def prepare_checkpoint(checkpoint: dict) -> dict:
    """Puts weights under ``model`` (MAE, DeiT) or ``module`` under ``state_dict``; notes grids."""
    for name in ('model', 'module'):
        if 'state_dict' not in checkpoint and isinstance(checkpoint.get(name), Mapping):
            checkpoint = {**checkpoint, 'state_dict': checkpoint[name]}
    note_token_grid(checkpoint.get('state_dict', checkpoint), checkpoint.get('meta'))
    return checkpoint


def check_role(meta: Mapping, checkpoint: str | os.PathLike, role: str | None) -> None:
    """Refuse to take a published teacher for the student.

    Args:
        meta: Of the file.
        checkpoint: Its name, for the message.
        role: Whose backbone is asked for.

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
    """The weights of one backbone, in names without a prefix, without those of pretraining alone.

    Args:
        content: ``state_dict`` and ``meta`` of the checkpoint.
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
    """Let the weights of a student, or of a backbone alone, serve as the teacher's as well.

    Args:
        state_dict: Gets ``teacher.backbone.*`` and ``teacher.neck.*`` if it has no ``teacher.*``.
        prefix: Of all names of the model within ``state_dict``.

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
    """Let the weights of a backbone serve as its moving average's as well.

    Args:
        state_dict: Gets ``target_generator.teacher.*`` of ``backbone.*`` if it has none.
        prefix: Of all names of the model within ``state_dict``.
    """
    if any(key.startswith(prefix + AVERAGE) for key in state_dict):
        return
    for key in list(state_dict):
        if key.startswith(prefix + BACKBONE):
            state_dict[prefix + AVERAGE + key.removeprefix(prefix + BACKBONE)] = state_dict[key]
