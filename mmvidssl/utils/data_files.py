"""Lists and folders of data that a config names, looked for before data are read."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

FILES = ('ann_file', 'exclude_file', 'label_file', 'proposal_file')
OF_FOLDERS = ('ImageNet', 'CustomDataset')
"""Data sets of mmpretrain that read a folder, and do not download what it lacks."""
SHORT = 4096
"""Bytes: a longer list is not looked into for a line that is not blank."""


def check_data_files(cfg: Config, parts: Sequence[str] = ('train', 'val')) -> None:
    """Refuse annotation files and folders of data that are not there, or empty.

    The libraries say that there is no such file, but not which option of the config names it; of no
    samples, that there is nothing to concatenate.

    Args:
        cfg: The config.
        parts: Of the run: whose data loaders and evaluators to look at.

    Raises:
        FileNotFoundError: says which option names it, and how the path is put together.
        ValueError: if a list is empty, or a folder has no image of the data set's suffix.
    """
    for part in parts:
        loader = cfg.get(f'{part}_dataloader') or {}
        for place, dataset in leaves(loader.get('dataset'), f'{part}_dataloader.dataset'):
            if _is_on_disk(dataset):
                root, paths = dataset.get('data_root') or '', dict(_paths(dataset))
                _check(cfg, place, root, paths)
                _check_not_empty(cfg, place, root, paths, dataset.get('img_suffix') or '')
        evaluators = cfg.get(f'{part}_evaluator') or []
        for index, evaluator in enumerate(_listed(evaluators)):
            at = f'{part}_evaluator' + ('' if isinstance(evaluators, dict) else f'.{index}')
            _check(cfg, at, '', {key: evaluator[key] for key in FILES if evaluator.get(key)})


def leaves(dataset: Any, place: str) -> Iterator[tuple[str, dict]]:
    """Places and configs of the data sets within those of wrappers."""
    if not isinstance(dataset, dict):
        return
    if isinstance(dataset.get('datasets'), (list, tuple)):
        for index, part in enumerate(dataset['datasets']):
            yield from leaves(part, f'{place}.datasets.{index}')
    elif isinstance(dataset.get('dataset'), dict):
        yield from leaves(dataset['dataset'], f'{place}.dataset')
    else:
        yield place, dataset


def _is_on_disk(dataset: dict) -> bool:
    backend = dataset.get('backend_args') or dataset.get('file_client_args') or {}
    return backend.get('backend', 'local') in ('local', 'disk')


def _paths(dataset: dict) -> Iterator[tuple[str, Any]]:
    """What a data set's config names, by the option.

    Folders are looked for where they are listed; a list of files may name them from the root.
    """
    yield from ((key, dataset[key]) for key in FILES if dataset.get(key))
    prefix = dataset.get('data_prefix')
    if dataset.get('ann_file'):
        return
    if isinstance(prefix, dict) and 'img_path' in prefix:  # mmsegmentation's
        yield from ((f'data_prefix.{key}', value) for key, value in prefix.items())
    elif str(dataset.get('type')).split('.')[-1] in OF_FOLDERS:
        yield ('data_prefix', prefix) if prefix else ('data_root', '')


def _check(cfg: Config, place: str, root: str, paths: dict[str, Any]) -> None:
    for key, value in paths.items():
        if not isinstance(value, str) or '://' in f'{root} {value}':
            continue
        path = Path(root, value)
        if _find(root, value) is not None:
            continue
        made_of = f'It is put together from data_root={root!r} and {value!r}. ' if value else ''
        other = f' or {place}.data_root=PATH' if root and key != 'data_root' else ''
        raise FileNotFoundError(
            f'{cfg.filename}: {place}.{key}: {path} does not exist. {made_of if root else ""}Name '
            f'another with --cfg-options {place}.{key}=PATH{other}'
        )


def _find(root: str, value: str) -> Path | None:
    """The file or folder: MMEngine puts the root before it, mmaction2 not always."""
    paths = [Path(root, value), *([Path(value)] if value else [])]
    return next((path for path in paths if path.exists()), None)


def _check_not_empty(
    cfg: Config, place: str, root: str, paths: dict[str, Any], suffix: str
) -> None:
    """Refuse a list without a line, and a folder without an image to list."""
    for key in ('ann_file', 'data_prefix.img_path'):
        value = paths.get(key)
        path = _find(root, value) if isinstance(value, str) else None
        if path is None:
            continue
        if path.is_file():
            if path.stat().st_size < SHORT and not path.read_bytes().strip():
                raise ValueError(
                    f'{cfg.filename}: {place}.{key}: {path} is empty. List the samples in it, or '
                    f'name another with --cfg-options {place}.{key}=PATH'
                )
        elif key != 'ann_file' and not _has_file(path, suffix):
            ending = f' whose name ends in {suffix!r}' if suffix else ''
            raise ValueError(
                f'{cfg.filename}: {place}.{key}: {path} has no file{ending}. Name another folder '
                f'with --cfg-options {place}.{key}=PATH, or the ending of the images with '
                f'{place}.img_suffix=.png or the like'
            )


def _has_file(folder: Path, suffix: str) -> bool:
    tree = os.walk(folder, followlinks=True)
    return any(name.endswith(suffix) for _, _, names in tree for name in names)


def _listed(evaluators: Any) -> list[dict]:
    listed = [evaluators] if isinstance(evaluators, dict) else evaluators
    return [evaluator for evaluator in listed if isinstance(evaluator, dict)]
