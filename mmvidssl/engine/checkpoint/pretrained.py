"""Modules and the files that they start from, compared before and after they are loaded."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from mmvidssl.utils.init_cfg import is_pretrained, listed
from mmvidssl.utils.roles import BACKBONE, PRETRAINING_ONLY, TEACHER

from .coverage import Coverage, find_coverage
from .coverage_text import (
    Source,
    advise,
    compare,
    describe_misfit,
    find_elsewhere,
    find_extra_blocks,
    show,
)
from .weights_file import read_weights

BACKBONES = (BACKBONE, TEACHER + BACKBONE)


def find_sources(model: nn.Module) -> Iterator[Source]:
    """Every module of a model that an ``init_cfg`` initialises from a file.

    Raises:
        ValueError: if a file is not named.
    """
    for name, module in model.named_modules():
        for config in listed(getattr(module, 'init_cfg', None)):
            if is_pretrained(config):
                source = Source(
                    name, module, str(config.get('checkpoint') or ''), config.get('prefix') or ''
                )
                if not source.checkpoint:
                    raise ValueError(
                        f'{source.option} names no checkpoint. Name the pretrained weights, on the '
                        f'command line with --cfg-options {source.option}.checkpoint=PATH'
                    )
                yield source


def drop_sources(model: nn.Module, names: Collection[str] | None = None) -> None:
    """Let no ``init_cfg`` load a file whose weights others will replace, nor need it.

    Args:
        model: Its modules' ``init_cfg`` are changed.
        names: Of the tensors that come from elsewhere: a module with any of them goes without its
            file. None: of all tensors.
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
    """What each module that an ``init_cfg`` initialises will load from its file.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: as :func:`find_sources`, :func:`read_weights` and :func:`examine`.
    """
    found = []
    for source in find_sources(model):
        try:
            weights = read_weights(source.checkpoint)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{source.option}: {error}. Name the pretrained weights, on the command line with '
                f'--cfg-options {source.option}.checkpoint=PATH'
            ) from error
        found.append((source, examine(source, weights, allow_new)))
    return found


def examine(
    source: Source,
    weights: Mapping[str, Tensor],
    allow_new: Sequence[str] = (),
    required: tuple[str, ...] = ('',),
) -> Coverage:
    """What a module will load from the weights of its file.

    Args:
        source: Module and file.
        weights: All of the file.
        allow_new: Patterns of names, in the module or in its backbone, that may be missing or of
            another shape. Those that only pretraining uses always may.
        required: Beginnings of the names that may not be missing otherwise.

    Raises:
        ValueError: if the file does not cover the module; says how and what to change.
    """
    _refuse_either_role(source, weights)
    given = source.strip(weights)
    if not given:
        raise ValueError(
            f'{source.option}: no weight of {source.checkpoint} begins with '
            f'{source.prefix!r}. {advise(source, weights)}'
        )
    try:
        coverage = find_coverage(source.module, given)
    except ValueError as error:
        raise ValueError(
            f'{source.place}{source.checkpoint}: {error}: {compare(given, source.module)}. '
            f'{advise(source, weights)}'
        ) from error
    if not coverage.arrived:
        required = ('',)
    kind = type(source.module).__name__
    problems = _find_problems(coverage, (*allow_new, *PRETRAINING_ONLY), required)
    if problems:
        listed = show(problems.values(), separator='\n  ')
        advice = _suggest_new(problems, coverage, required) or advise(source, weights)
        raise ValueError(
            f'{source.place}{source.origin} does not cover the {kind}: {len(problems)} '
            f'of its {coverage.num_tensors} tensors are missing or do not fit:\n  {listed}\n'
            f'{compare(given, source.module)}.\n{advice}'
        )
    extra = find_extra_blocks(coverage.left_over, source.module.state_dict())
    if extra := [name for name in extra if name.startswith(required)]:
        raise ValueError(
            f'{source.place}{source.origin} is of a deeper model: {show(extra)} '
            f'would be left over. {compare(given, source.module)}.\n{advise(source, weights)}'
        )
    coverage.elsewhere = find_elsewhere(source, weights)
    return coverage


def _refuse_either_role(source: Source, weights: Mapping[str, Tensor]) -> None:
    """Refuse an ``init_cfg`` of a whole model that leaves open whose backbone it takes."""
    if source.prefix or source.fix or not any(n.startswith(BACKBONES[1]) for n in weights):
        return
    names = source.module.state_dict()
    if any(n.startswith(BACKBONE) for n in names) and not any(n.startswith(TEACHER) for n in names):
        raise ValueError(
            f'{source.option}: {source.checkpoint} holds the backbones of a student and a teacher, '
            f"and without a prefix the student's would be taken. Set {source.option}.prefix="
            f"{TEACHER!r} for the teacher's, which DINO and DoRA are evaluated with; for the "
            f"student's, give the backbone that init_cfg, with prefix={BACKBONE!r}."
        )


def _find_problems(
    coverage: Coverage, allow_new: Sequence[str], required: tuple[str, ...]
) -> dict[str, str]:
    """What is wrong with each tensor, by its name."""

    def may_be_new(name: str) -> bool:
        inner = re.sub(r'^(teacher\.)?backbone\.', '', name)
        return any(fnmatchcase(name, p) or fnmatchcase(inner, p) for p in allow_new)

    misfits = {n: s for n, s in coverage.misfits.items() if not may_be_new(n)}
    missing = [n for n in coverage.new if n.startswith(required) and not may_be_new(n)]
    return {
        **{name: describe_misfit(name, shapes) for name, shapes in misfits.items()},
        **{name: f'{name}: not in the file' for name in missing},
        **{
            name: f'{name}: not finite in the file'
            for name, value in coverage.arrived.items()
            if not value.isfinite().all()
        },
    }


def _suggest_new(
    problems: Collection[str], coverage: Coverage, required: tuple[str, ...]
) -> str | None:
    """The way out if nothing but heads is of another shape: another number of classes."""
    if any(name.startswith(required) or name not in coverage.misfits for name in problems):
        return None
    patterns = list(dict.fromkeys(f'{name.rpartition(".")[0]}.*' for name in problems))
    return (
        'The backbone fits. To train these anew, for another number of classes, let them be new, '
        f"in custom_hooks: dict(type='mmvidssl.PretrainedReportHook', allow_new={patterns})."
    )


def check_arrival(source: Source, coverage: Coverage) -> None:
    """Compare a module with what loading should have made of it.

    Raises:
        RuntimeError: names the tensors that differ.
    """
    state = source.module.state_dict()
    differing = [
        name
        for name, value in coverage.arrived.items()
        if not torch.equal(state[name].cpu(), value.to('cpu', state[name].dtype))
    ]
    if differing:
        raise RuntimeError(
            f'{source.place}{len(differing)} of {coverage.num_tensors} tensors are not those of '
            f'{source.checkpoint} once all is loaded: {show(differing)}. Something initialises '
            f'them again after they were loaded: an init_weights() of '
            f'{type(source.module).__name__} or of the model, or a hook.'
        )
