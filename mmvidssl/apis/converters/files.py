"""Reading released checkpoints, and writing converted ones."""

import hashlib
import io
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmvidssl.engine.checkpoint import read_content
from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.version import __version__


class Conversion(NamedTuple):
    """What a converter made of a released checkpoint."""

    path: Path
    kind: str
    """What was converted: ``'student and teacher'``, ``'MaskFeat of videos (MViT)'``, ..."""
    arch: dict[str, Any]
    """Options that a config must set for the weights to fit."""
    dropped: list[str]
    """Entries of the released file that are not in the new one."""


class Converted(NamedTuple):
    """Weights in our names, before they are written."""

    weights: dict[str, Tensor]
    kind: str
    arch: dict[str, Any]
    dropped: list[str]
    meta: dict[str, Any]


def convert_file(
    source: str | os.PathLike,
    target: str | os.PathLike,
    force: bool,
    keys: Collection[str],
    convert: Callable[[dict], Converted],
) -> Conversion:
    """Read a released checkpoint, convert it and write the result.

    Args:
        source: The released checkpoint, read with ``weights_only=True``. The only class allowed in
            it is ``argparse.Namespace``, of the released ``args``.
        target: The new file; written whole or not at all.
        force: Whether ``target`` may exist.
        keys: Keys under which released files hold the weights of a network.
        convert: Function from the content of the file to that of the new one.

    Raises:
        FileNotFoundError: if there is no such source.
        FileExistsError: if ``target`` exists and ``force`` is not set.
        ValueError: if the source is no checkpoint, or of another architecture; names the file and
            the weights.
    """
    source, target = Path(source), Path(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise ValueError(f'{target} would overwrite its own source; choose another name')
    check_target(target, force)
    content = _read(source, keys)
    try:
        new = convert(content)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error
    meta = dict(new.meta, converted_from=source.name, mmvidssl_version=__version__, arch=new.arch)
    # A view would be saved with all of the memory that it shares.
    weights = {key: value.clone() for key, value in new.weights.items()}
    write_plain(dict(state_dict=weights, meta=meta), target)
    return Conversion(target, new.kind, new.arch, new.dropped)


def _read(source: Path, keys: Collection[str]) -> dict:
    content = read_content(str(source))
    inner = content['state_dict']
    # read_content wraps a file without 'state_dict' in one.
    is_wrapped = set(content) == {'state_dict'} and any(
        isinstance(inner.get(key), Mapping) for key in keys
    )
    return dict(inner) if is_wrapped else content


def check_tensors(name: str, weights: Mapping) -> None:
    """Refuse what is not a network's weights.

    Raises:
        ValueError: names what it holds.
    """
    others = [str(key) for key, value in weights.items() if not isinstance(value, Tensor)]
    if others or not weights:
        raise ValueError(f'{name} must hold tensors by name, and holds {show(others)}')


def show(names: Collection[str]) -> str:
    """The first eight of some names."""
    return ', '.join(list(names)[:8]) + (' ...' if len(names) > 8 else '') or 'nothing'


def check_target(path: Path, force: bool) -> None:
    """Refuse to overwrite a file unasked.

    Raises:
        FileExistsError: if it exists and ``force`` is not set.
    """
    if path.exists() and not force:
        raise FileExistsError(
            f'{path} exists already; choose another name, or pass --force to overwrite it'
        )


def write_plain(content: dict, path: Path, add_hash: bool = False) -> Path:
    """Write a checkpoint whole or not at all; returns its path.

    Args:
        content: Plain data and tensors.
        path: The new file.
        add_hash: Put eight digits of the file's SHA-256 before ``.pth``.
    """
    buffer = io.BytesIO()  # torch.save's error for a full disk is unclear
    torch.save(content, buffer)
    if add_hash:
        digest = hashlib.sha256(buffer.getbuffer()).hexdigest()[:8]
        path = path.with_name(f'{path.stem}-{digest}.pth')
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return path
