"""A whole model that starts from a checkpoint: whose weights it takes, and what they cover."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from mmvidssl.utils.roles import BACKBONE, PREFIXES, TEACHER

from .coverage import Coverage
from .coverage_text import Source, report
from .pretrained import BACKBONES, examine

OWN_CONFIG = (
    'Use the config that the checkpoint was trained with, or a checkpoint of the same method and '
    "size. To take its backbone alone, give the config's backbone "
    "init_cfg=dict(type='Pretrained', checkpoint=PATH, prefix='backbone.')."
)
OWN_CHECKPOINT = 'Name a checkpoint that training with this config wrote, which has all tensors.'


class Start(NamedTuple):
    """What a model takes from a checkpoint; from :func:`examine_start`."""

    source: Source
    coverage: Coverage
    choice: str
    """Whose backbone it takes, where the file leaves a choice."""

    @property
    def names(self) -> list[str]:
        """Of the model's tensors that it brings."""
        place = f'{self.source.name}.' if self.source.name else ''
        return [place + name for name in self.coverage.arrived]

    def report(self) -> str:
        """A line, or two, for the log."""
        return f'{self.choice}{report(self.source, self.coverage)}'

    def arrange_(self, checkpoint: dict) -> None:
        """Leave in a checkpoint what the model shall load, by the model's names."""
        whole = checkpoint.get('state_dict', checkpoint)
        weights = self.source.strip(_without_wrapper(whole))
        place = f'{self.source.name}.' if self.source.name else ''
        taken = {
            place + name: value
            for name, value in weights.items()
            if name not in self.coverage.misfits
        }
        if taken.keys() == whole.keys():
            return
        if 'state_dict' in checkpoint:
            checkpoint['state_dict'] = taken
        else:
            checkpoint.clear()
            checkpoint.update(taken)


def examine_start(
    model: nn.Module,
    state_dict: Mapping,
    checkpoint: str,
    role: str | None = None,
    allow_new: Sequence[str] = (),
    is_whole: bool = False,
) -> Start:
    """What a model will load from a checkpoint of its own, of pretraining, or of a backbone.

    A model with student and teacher takes both, or one backbone for both. Any other takes, from a
    file that holds both, the backbone of one of them and nothing else.

    Args:
        model: The model, not wrapped.
        state_dict: Of the checkpoint.
        checkpoint: Its name, for messages.
        role: Whose backbone to take where there is a choice, ``'teacher'`` or ``'student'``. None:
            the teacher's, which DINO and DoRA are evaluated with.
        allow_new: As :func:`examine` takes.
        is_whole: Whether every tensor of the model must be there, for a test, or those of its
            backbone alone.

    Raises:
        ValueError: if the checkpoint does not cover the model's backbone (or all of it), has
            weights of other shapes, or has no backbone of that role.
    """
    if role not in (None, *PREFIXES):
        raise ValueError(f'role must be one of {tuple(PREFIXES)}, got {role!r}')
    weights = _without_wrapper(state_dict)
    source, choice = Source('', model, checkpoint, '', OWN_CONFIG), ''
    if is_whole:
        source = source._replace(fix=OWN_CHECKPOINT)
    elif any(name.startswith(TEACHER + BACKBONE) for name in weights) and _has_one(model):
        source, choice = _choose(source, weights, role or 'teacher')
    required = ('',) if is_whole or source.name else BACKBONES
    return Start(source, examine(source, weights, allow_new, required), choice)


def _without_wrapper(state_dict: Mapping) -> dict[str, Tensor]:
    """The tensors, by names without what distributed training puts before them."""
    tensors = {key: value for key, value in state_dict.items() if isinstance(value, Tensor)}
    return {key.removeprefix('module.'): value for key, value in tensors.items()}


def _has_one(model: nn.Module) -> bool:
    return hasattr(model, 'backbone') and not hasattr(model, 'teacher')


def _choose(source: Source, weights: Mapping[str, Tensor], role: str) -> tuple[Source, str]:
    prefix = PREFIXES[role] + BACKBONE
    if not any(name.startswith(prefix) for name in weights):
        raise ValueError(
            f'{source.checkpoint} holds no weights {prefix}*: it has no {role} backbone'
        )
    choice = (
        f'{source.checkpoint} holds a student and a teacher, {type(source.module).__name__} has '
        f"one backbone and takes the {role}'s. "
    )
    return source._replace(name='backbone', module=source.module.backbone, prefix=prefix), choice
