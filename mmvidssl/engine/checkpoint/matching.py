"""Check modules against the files that they start from, before and after these are loaded."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmvidssl.utils.init_cfg import is_pretrained, listed
from mmvidssl.utils.roles import BACKBONE, PREFIXES, PRETRAINING_ONLY, TEACHER, is_bare
from mmvidssl.utils.vit_names import OtherArchitectureError

from .coverage import Coverage, find_coverage
from .files import CONVERT, read_weights
from .report import Source, describe_mismatch, find_prefixes, report, show

BACKBONES = (BACKBONE, TEACHER + BACKBONE)
REMEDY = (
    'Name a checkpoint of the same method and size. Tensors that may be missing or of another '
    "shape are listed in PretrainedReportHook's allow_new."
)


def find_sources(model: nn.Module) -> Iterator[Source]:
    """Every module of a model that an ``init_cfg`` initialises from a file.

    Raises:
        ValueError: if such an ``init_cfg`` names no file.
    """
    for name, module in model.named_modules():
        option = f'model.{name}.init_cfg' if name else 'model.init_cfg'
        for config in filter(is_pretrained, listed(getattr(module, 'init_cfg', None))):
            checkpoint = str(config.get('checkpoint') or '')
            if not checkpoint:
                raise ValueError(f'{option} names no checkpoint. {_name_it(option)}')
            yield Source(name, module, checkpoint, config.get('prefix') or '', option)


def _name_it(option: str) -> str:
    return f'Name the pretrained weights, with --cfg-options {option}.checkpoint=PATH'


def drop_sources(model: nn.Module, names: Collection[str] | None = None) -> None:
    """Remove from each ``init_cfg`` the files whose weights will come from elsewhere.

    Args:
        model: Its modules' ``init_cfg`` are changed.
        names: Names of the tensors that come from elsewhere; a module that has any of them does not
            load its file. None: all tensors.
    """
    for name, module in model.named_modules():
        place = f'{name}.' if name else ''
        if names is not None and not any(key.startswith(place) for key in names):
            continue
        configs = listed(getattr(module, 'init_cfg', None))
        others = [config for config in configs if not is_pretrained(config)]
        if len(others) < len(configs):
            module.init_cfg = others or None


def examine_all(model: nn.Module, allow_new: Sequence[str] = ()) -> list[tuple[Source, Coverage]]:
    """Coverage of each module that an ``init_cfg`` initialises, by the weights of its file.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: as :func:`find_sources`, :func:`read_weights` and :func:`examine`.
    """
    found = []
    for source in find_sources(model):
        try:
            weights = read_weights(source.checkpoint)
        except FileNotFoundError as error:
            raise FileNotFoundError(f'{source.place}{error}. {_name_it(source.option)}') from error
        found.append((source, examine(source, weights, allow_new)))
    return found


def examine(
    source: Source,
    weights: Mapping[str, Tensor],
    allow_new: Sequence[str] = (),
    required: tuple[str, ...] = ('',),
) -> Coverage:
    """Coverage of a module by the weights of its file; refuses a file that does not cover it.

    Args:
        source: Module and file.
        weights: All tensors of the file.
        allow_new: Patterns of names, in the module or in its backbone, that may be missing or of
            another shape. Those that only pretraining uses always may.
        required: Beginnings of the names that must be in the file, apart from ``allow_new``.

    Raises:
        ValueError: if the file does not cover the module; names the tensors and the nearest prefix.
    """
    _refuse_either_role(source, weights)
    given = source.strip(weights)
    names, prefixes = source.module.state_dict().keys(), find_prefixes(source, weights)
    remedy = REMEDY
    for nearest, count in list(prefixes.items())[:1]:
        if count > len(names & given.keys()):
            remedy = f'The nearest prefix is {nearest!r} ({count} of {len(names)} names). {REMEDY}'
    if not given and is_bare(weights):
        remedy = f"It holds a backbone alone: set {source.option}.prefix=''."
    try:
        coverage = find_coverage(source.module, given)
    except OtherArchitectureError as error:
        raise ValueError(f'{source.place}{source.origin}: {error}') from error
    except ValueError as error:
        raise ValueError(f'{source.place}{source.checkpoint}: {error}. {remedy}') from error
    if not coverage.loaded:
        required, remedy = ('',), f'{remedy} {CONVERT}'
    problems = _find_problems(coverage, (*allow_new, *PRETRAINING_ONLY), required)
    extra = [b for b in find_extra_blocks(coverage.unexpected, names) if b.startswith(required)]
    if problems or extra or not coverage.loaded:
        blocks = [f'{block}*: unexpected, of a deeper model' for block in extra]
        listed = show([*problems, *blocks], separator='\n  ')
        raise ValueError(
            f'{source.place}{source.origin} does not cover the {type(source.module).__name__}: '
            f'{len(problems)} of its {coverage.num_tensors} tensors do not fit:\n  {listed}\n'
            f'Unexpected: {show(coverage.unexpected) or "none"}. {remedy}'
        )
    coverage.other_prefixes = list(prefixes)
    return coverage


def _refuse_either_role(source: Source, weights: Mapping[str, Tensor]) -> None:
    """Refuse a whole model's ``init_cfg`` that does not choose between student and teacher."""
    if source.prefix or not source.option or not _has_teacher(weights):
        return
    names = source.module.state_dict()
    if any(n.startswith(BACKBONE) for n in names) and not any(n.startswith(TEACHER) for n in names):
        raise ValueError(
            f'{source.option}: {source.checkpoint} holds the backbones of a student and a teacher. '
            f'Set {source.option}.prefix={TEACHER!r} for the teacher, which DINO and DoRA are '
            f"evaluated with; for the student, set the backbone's init_cfg, prefix={BACKBONE!r}."
        )


def _has_teacher(names: Iterable[str]) -> bool:
    return any(name.startswith(TEACHER + BACKBONE) for name in names)


def _find_problems(
    coverage: Coverage, allow_new: Sequence[str], required: tuple[str, ...]
) -> list[str]:
    """A line for each tensor that is of another shape, missing or not finite."""

    def may_be_new(name: str) -> bool:
        inner = re.sub(r'^(teacher\.)?backbone\.', '', name)
        return any(fnmatchcase(name, p) or fnmatchcase(inner, p) for p in allow_new)

    mismatched = [item for item in coverage.mismatched.items() if not may_be_new(item[0])]
    missing = [n for n in coverage.missing if n.startswith(required) and not may_be_new(n)]
    infinite = [name for name, value in coverage.loaded.items() if not value.isfinite().all()]
    return [
        *(describe_mismatch(name, shapes) for name, shapes in mismatched),
        *(f'{name}: missing from the file' for name in missing),
        *(f'{name}: not finite in the file' for name in infinite),
    ]


def find_extra_blocks(names: Iterable[str], own: Iterable[str]) -> list[str]:
    """Blocks (``layers.12.``) in ``names`` that ``own``, with fewer blocks, does not have."""

    def blocks(names: Iterable[str]) -> set[str]:
        return {name[: part.end()] for name in names for part in re.finditer(r'\b\d+\.', name)}

    own_blocks = blocks(own)
    extra = sorted(blocks(names) - own_blocks)
    return [block for block in extra if re.sub(r'\d+\.$', '0.', block) in own_blocks]


def check_loaded(source: Source, coverage: Coverage) -> None:
    """Check that a module's tensors are those that loading should have given it.

    Raises:
        RuntimeError: names the tensors that differ.
    """
    state = source.module.state_dict()
    differing = [
        name
        for name, value in coverage.loaded.items()
        if not torch.equal(state[name].cpu(), value.to('cpu', state[name].dtype))
    ]
    if differing:
        raise RuntimeError(
            f'{source.place}{len(differing)} of {coverage.num_tensors} tensors are not those of '
            f'{source.checkpoint} once all is loaded: {show(differing)}. Something initialises '
            f'them again after they were loaded: an init_weights() of '
            f'{type(source.module).__name__} or of the model, or a hook.'
        )


class Start(NamedTuple):
    """What a whole model takes from a checkpoint; from :func:`examine_start`."""

    source: Source
    coverage: Coverage
    choice: str
    """Sentence that says whose backbone is taken, if the file has student and teacher."""

    @property
    def place(self) -> str:
        """Prefix, in the model, of the names of what is taken."""
        return f'{self.source.name}.' if self.source.name else ''

    @property
    def names(self) -> list[str]:
        """Names of the model's tensors that are taken."""
        return [self.place + name for name in self.coverage.loaded]

    def report(self) -> str:
        """A line for the log."""
        return f'{self.choice}{report(self.source, self.coverage)}'

    def filter_checkpoint_(self, checkpoint: dict) -> None:
        """Reduce a checkpoint, in place, to what the model loads, by the model's names."""
        whole = checkpoint.get('state_dict', checkpoint)
        weights = self.source.strip(_without_wrapper(whole))
        taken = {
            self.place + name: value
            for name, value in weights.items()
            if name not in self.coverage.mismatched
        }
        if taken.keys() == whole.keys():
            return  # unchanged, to keep the version metadata that torch attaches to it
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
    """What a model takes from a checkpoint: its own, one of pretraining, or a backbone's.

    A model with student and teacher takes both, or one backbone for both. Any other takes, from a
    file that holds both, the backbone of one of them and nothing else.

    Args:
        model: The model, not wrapped.
        state_dict: State dict of the checkpoint.
        checkpoint: Name of the checkpoint, for messages.
        role: Whose backbone to take where there is a choice, ``'teacher'`` or ``'student'``. None:
            the teacher's, which DINO and DoRA are evaluated with.
        allow_new: As :func:`examine` takes.
        is_whole: Whether every tensor of the model must be in it (for a test), or only those of its
            backbone.

    Raises:
        ValueError: if the checkpoint does not cover the model's backbone (or all of it), has
            weights of other shapes, or has no backbone of that role.
    """
    if role not in (None, *PREFIXES):
        raise ValueError(f'role must be one of {tuple(PREFIXES)}, got {role!r}')
    weights = _without_wrapper(state_dict)
    # A model that is only a backbone (FrozenEncoder) needs nothing else for a test.
    is_whole = is_whole and any(not name.startswith(BACKBONE) for name in model.state_dict())
    source, choice = Source('', model, checkpoint), ''
    has_one = hasattr(model, 'backbone') and not hasattr(model, 'teacher')
    if has_one and _has_teacher(weights) and not is_whole:
        role = role or 'teacher'
        prefix = PREFIXES[role] + BACKBONE
        if not any(name.startswith(prefix) for name in weights):
            raise ValueError(f'{checkpoint} holds no weights {prefix}*: it has no {role} backbone')
        source = Source('backbone', model.backbone, checkpoint, prefix)
        choice = (
            f'{checkpoint} holds a student and a teacher, {type(model).__name__} has one backbone '
            f"and takes the {role}'s. "
        )
    elif hasattr(model, 'backbone') and is_bare(weights) and not is_whole:
        source = Source('backbone', model.backbone, checkpoint)
    required = ('',) if is_whole or source.name else BACKBONES
    return Start(source, examine(source, weights, allow_new, required), choice)


def _without_wrapper(state_dict: Mapping) -> dict[str, Tensor]:
    """The tensors by name, without the prefix ``module.`` of distributed training."""
    tensors = {key: value for key, value in state_dict.items() if isinstance(value, Tensor)}
    return {key.removeprefix('module.'): value for key, value in tensors.items()}
