"""Exponential moving averages of parameters."""

import torch
from torch import nn


@torch.no_grad()
def ema_update_(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move a teacher's parameters towards a student's, in place.

    ``teacher = (1 - momentum) * teacher + momentum * student``: ``momentum`` is the weight of the
    new value, as everywhere in MMEngine. DINO's ``m`` is ``1 - momentum``. Buffers are copied.

    Args:
        teacher: Module with the same parameter names as ``student``.
        student: Source of the new values.
        momentum: In [0, 1]; 0 leaves the teacher, 1 copies the student.

    Raises:
        ValueError: if ``momentum`` is outside [0, 1] or the parameters do not correspond.

    Source: DINO, section 3.1.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(
            f'EMA momentum is the weight of the new value and lies in [0, 1], got {momentum}'
        )
    source = dict(student.named_parameters())
    target = dict(teacher.named_parameters())
    if source.keys() != target.keys():
        raise ValueError(
            'teacher and student must have the same parameters; only one of the two has '
            f'{sorted(source.keys() ^ target.keys())[:5]}'
        )
    if not source:
        return
    torch._foreach_lerp_(list(target.values()), [source[name] for name in target], momentum)
    for name, buffer in teacher.named_buffers():
        buffer.copy_(student.get_buffer(name))
