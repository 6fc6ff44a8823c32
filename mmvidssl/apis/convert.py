"""From the checkpoints of the released self-supervised code to ours."""

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmvidssl.engine.checkpoint import UnsafeCheckpointError, read_content
from mmvidssl.utils.roles import BACKBONE, NECK, PREFIXES
from mmvidssl.version import __version__

from .publish import write_plain
from .vit_names import describe_vit, rename_vit

CENTER = 'target_generator.center'
LOSSES = ('dino_loss', 'ibot_loss')
PLAIN = (bool, int, float, str, type(None))


class Conversion(NamedTuple):
    """What :func:`convert_checkpoint` or :func:`convert_slowfast` did."""

    path: Path
    roles: tuple[str, ...]
    """``('student', 'teacher')``, one of them, or none for a model without roles."""
    kind: str
    """What was converted, in words."""
    arch: dict[str, Any]
    """What a config must say, see :func:`describe_vit` and :func:`describe_mvit`."""
    dropped: dict[str, str]
    """What of the file is not in the new one, and why."""


class Converted(NamedTuple):
    """The content of a new checkpoint, before it is written."""

    state_dict: dict[str, Tensor]
    arch: dict[str, Any]
    dropped: dict[str, str]
    meta: dict[str, Any]
    kind: str
    roles: tuple[str, ...] = ()


def convert_checkpoint(
    source: str | os.PathLike, target: str | os.PathLike, force: bool = False
) -> Conversion:
    """Convert a checkpoint of DoRA, DINO, iBOT or DINOv2 to our names.

    A training checkpoint (``student`` and ``teacher``) gives student, teacher and center; ours
    loads it by ``load_from`` or ``init_model``. With one of the two, or a backbone alone, the new
    file holds ``backbone.*`` (and ``neck.*``), which serve as student and as teacher. Optimizer and
    schedule are not converted: train on with ``load_from``, not with ``resume``.

    The file is read with ``weights_only=True``. If it names ``argparse.Namespace``, of which the
    released code's ``args`` is one, then that class alone is let in, no longer than the reading
    takes; this needs torch 2.5.

    Args:
        source: The released checkpoint.
        target: The new file; written whole or not at all.
        force: Whether ``target`` may exist.

    Raises:
        FileNotFoundError: if there is no such source.
        FileExistsError: if ``target`` exists and ``force`` is not set.
        ValueError: if the source is no checkpoint, or of another architecture; names the file and
            the weights.
    """
    return convert_file(source, target, force, _read, _convert)


def convert_file(
    source: str | os.PathLike,
    target: str | os.PathLike,
    force: bool,
    read: Callable[[Path], dict],
    convert: Callable[[dict], Converted],
) -> Conversion:
    """What all conversions share; see :func:`convert_checkpoint`.

    Args:
        source: The released checkpoint.
        target: The new file; written whole or not at all.
        force: Whether ``target`` may exist.
        read: From a file to its content.
        convert: From the content to that of the new file.
    """
    source, target = Path(source), Path(target)
    _check_target(source, target, force)
    content = read(source)
    try:
        new = convert(content)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error
    meta = dict(new.meta, converted_from=source.name, mmvidssl_version=__version__, arch=new.arch)
    # What shares memory with more than itself would be saved with all of it.
    weights = {key: value.clone() for key, value in new.state_dict.items()}
    write_plain(dict(state_dict=weights, meta=meta), target)
    return Conversion(target, new.roles, new.kind, new.arch, new.dropped)


def _check_target(source: Path, target: Path, force: bool) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise ValueError(f'{target} would overwrite its own source; choose another name')
    if target.exists() and not force:
        raise FileExistsError(
            f'{target} exists already; choose another name, or pass --force to overwrite it'
        )


def _read(source: Path) -> dict:
    try:
        content = read_content(str(source))
    except UnsafeCheckpointError as error:
        if error.name != 'argparse.Namespace':
            raise
        content = _read_with_namespace(source)
    inner = content['state_dict']
    # A file without 'state_dict' comes wrapped in one.
    return dict(inner) if set(content) == {'state_dict'} and _roles(inner) else content


def _read_with_namespace(source: Path) -> dict:
    if not hasattr(torch.serialization, 'safe_globals'):
        raise ValueError(
            f'{source} holds an argparse.Namespace, which torch {torch.__version__} cannot read '
            'without running code from the file; convert it with torch 2.5 or later'
        )
    with torch.serialization.safe_globals([Namespace]):
        return read_content(str(source))


def _roles(content: Mapping) -> tuple[str, ...]:
    return tuple(role for role in PREFIXES if isinstance(content.get(role), Mapping))


def _convert(content: dict) -> Converted:
    roles = _roles(content)
    networks = {role: content[role] for role in roles} or dict(backbone=content['state_dict'])
    for name, weights in networks.items():
        check_tensors(
            name,
            weights,
            "Known are files with 'student' and 'teacher', and backbones on their own.",
        )
    renamed = {name: rename_vit(weights) for name, weights in networks.items()}
    state_dict, dropped = {}, {}
    for name, parts in renamed.items():
        prefix = PREFIXES[name] if len(renamed) > 1 else ''
        for part, weights in ((BACKBONE, parts.backbone), (NECK, parts.neck)):
            state_dict.update({prefix + part + key: value for key, value in weights.items()})
        dropped.update({f'{name}.{key}': why for key, why in parts.dropped.items()})
    archs = {name: describe_vit(parts.backbone, parts.neck) for name, parts in renamed.items()}
    arch = next(iter(archs.values()))
    if any(other != arch for other in archs.values()):
        raise ValueError(f'student and teacher are of different architectures: {archs}')
    _convert_center(content, arch, state_dict)
    dropped.update(_describe_rest(content, set(roles) or {'state_dict'}))
    kind = ' and '.join(roles) or 'a backbone'
    return Converted(state_dict, arch, dropped, _meta(content), kind, roles)


def check_tensors(name: str, weights: Mapping, known: str) -> None:
    """Refuse what is not a network's weights; ``known`` says what is.

    Raises:
        ValueError: names what it holds.
    """
    others = [str(key) for key, value in weights.items() if not isinstance(value, Tensor)]
    if others or not weights:
        raise ValueError(
            f'{name} must hold tensors by name, and holds {", ".join(others[:8]) or "nothing"}. '
            f'{known}'
        )


def _convert_center(content: dict, arch: dict, state_dict: dict[str, Tensor]) -> None:
    for name in LOSSES:
        loss = content.get(name)
        center = loss.get('center') if isinstance(loss, Mapping) else None
        if not isinstance(center, Tensor) or 'num_prototypes' not in arch:
            continue
        if center.numel() != arch['num_prototypes']:
            raise ValueError(
                f'{name}.center has {center.numel()} numbers, but there are '
                f'{arch["num_prototypes"]} prototypes'
            )
        state_dict[CENTER] = center.reshape(1, -1)


def _describe_rest(content: dict, converted: set[str]) -> dict[str, str]:
    """Everything else in the file, and why it is not in ours."""
    rest = {}
    for key, value in content.items():
        if key in LOSSES and isinstance(value, Mapping):
            others = [name for name in value if name != 'center']
            rest.update({f'{key}.{name}': 'has no counterpart' for name in others})
        elif key in ('epoch', 'args'):
            rest[key] = 'kept in meta'
        elif key not in converted:
            rest[str(key)] = "state of the released code's training"
    return rest


def _meta(content: dict) -> dict:
    meta: dict[str, Any] = {}
    if isinstance(content.get('epoch'), int):
        meta['epoch'] = content['epoch']
    if isinstance(content.get('args'), Namespace):
        args = vars(content['args'])
        meta['args'] = {k: v if isinstance(v, PLAIN) else str(v) for k, v in args.items()}
    return meta
