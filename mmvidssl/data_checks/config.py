"""Lists and folders of data that a config names, looked for before anything is built."""

import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvidssl.registry import DATASETS

from .detection import check_coco, reads_coco
from .files import ON_DISK
from .findings import Finding, error, refuse
from .image_folders import check_class_folders

FILES = ('ann_file', 'exclude_file', 'label_file', 'proposal_file')
OF_FOLDERS = ('ImageNet', 'CustomDataset')
"""Data sets of mmpretrain that read a folder, and do not download what it lacks."""


def check_config(cfg: Config, parts: Sequence[str] = ('train', 'val')) -> None:
    """Refuse annotation files and folders that are not there or empty, and classes of no category.

    The libraries say that there is no such file, but not which option of the config names it; of no
    samples, that there is nothing to concatenate.

    Args:
        cfg: The config.
        parts: Of the run: whose data loaders and evaluators to look at.

    Raises:
        FileNotFoundError: names the option and the file.
        ValueError: if a list is empty, a folder has no image of the data set's suffix, or there is
            nothing to learn in a COCO annotation file, or other classes there or in folders.
    """
    refuse(str(cfg.filename), find_in_config(cfg, parts), lambda _: None)


def find_in_config(cfg: Config, parts: Sequence[str]) -> Iterator[Finding]:
    """As :func:`check_config`."""
    for place, kind, node in _data_of(cfg, parts):
        backend = node.get('backend_args') or node.get('file_client_args') or {}
        if backend.get('backend', 'local') not in ON_DISK:
            continue
        missing = [f for key, path, _ in _named(node) for f in _check_path(place, key, path, node)]
        yield from missing
        for finding in [] if missing else _check_classes(place, kind, node):
            yield finding._replace(text=f'{place}: {finding.text}')


def expected_tree(cfg: Config) -> str:
    """Folders that a config names and what they hold, ``(missing)`` after what is not there."""
    folders: dict[Path, list[str]] = {}
    for _, _, node in _data_of(cfg, ('train', 'val', 'test')):
        for _, path, holds in _named(node):
            name = f'    {holds or path.name}{"" if path.exists() else "   (missing)"}'
            names = folders.setdefault(path if holds else path.parent, [])
            names += [name] if name not in names else []
    return '\n'.join(line for folder in folders for line in (f'{folder}/', *folders[folder]))


def _data_of(cfg: Config, parts: Sequence[str]) -> Iterator[tuple[str, type | None, dict]]:
    """Data sets and evaluators that name data: place, class, and options with their defaults."""
    for part in (f'{part}_{kind}' for part in parts for kind in ('dataloader', 'evaluator')):
        for place, node in _dicts(cfg.get(part), part):
            if any(node.get(key) for key in (*FILES, 'data_root', 'data_prefix')):
                scope, name = node.get('_scope_') or cfg.get('default_scope'), str(node.get('type'))
                kind = DATASETS.get(f'{scope}.{name}' if scope and '.' not in name else name)
                options: dict[str, Any] = {}
                for base in reversed(inspect.getmro(kind)[:-1] if inspect.isclass(kind) else ()):
                    given = inspect.signature(base).parameters.values()
                    options |= {p.name: p.default for p in given if p.default is not p.empty}
                yield place, kind, {**options, **node}


def _dicts(node: Any, place: str) -> Iterator[tuple[str, dict]]:
    """Every dict within a node, and its dotted name."""
    if isinstance(node, dict):
        yield place, node
        children = list(node.items())
    else:
        children = list(enumerate(node)) if isinstance(node, (list, tuple)) else []
    for key, child in children:
        yield from _dicts(child, f'{place}.{key}')


def _named(dataset: dict) -> Iterator[tuple[str, Path, str]]:
    """Options that name files or folders, the paths, and what a folder holds."""
    root, ann_file = dataset.get('data_root') or '', dataset.get('ann_file')
    values = {key: dataset.get(key) for key in FILES if dataset.get(key)}
    prefix = dataset.get('data_prefix') or dataset.get('split') or ''
    if isinstance(prefix, dict):
        values |= {f'data_prefix.{key}': value for key, value in prefix.items() if value or root}
    elif _is_of_folders(dataset):
        values['data_prefix' if dataset.get('data_prefix') else 'data_root'] = prefix
    for key, value in values.items():
        if isinstance(value, str) and '://' not in f'{root} {value}':
            # MMEngine puts the root before it, mmaction2 not always.
            path, holds = Path(root, value), ''
            path = Path(value) if value and not path.exists() and Path(value).exists() else path
            if key not in FILES:
                suffixes = dict(img_path='img_suffix', depth_map_path='depth_map_suffix')
                suffix = dataset.get(suffixes.get(key.split('.')[-1], 'seg_map_suffix'), '')
                holds = f'<as in {Path(ann_file).name}>' if ann_file else f'*{suffix}'
                holds = '<class>/<picture>' if _is_of_folders(dataset) else holds
            yield key, path, holds


def _is_of_folders(dataset: dict) -> bool:
    return str(dataset.get('type')).split('.')[-1] in OF_FOLDERS and not dataset.get('ann_file')


def _check_path(place: str, key: str, path: Path, dataset: dict) -> Iterator[Finding]:
    """What is not there, a list without a line, and a folder without an image to list."""
    option, root, suffix = f'{place}.{key}', dataset.get('data_root'), dataset.get('img_suffix')
    is_listed = dataset.get('ann_file') or key.startswith('data_prefix.')
    is_listed = is_listed and (dataset.get('ann_file') or not dataset['data_prefix'].get('img_path'))
    # Folders of what is listed may not be there: a list may name its files from the root.
    if key not in FILES and is_listed:
        return
    if not path.exists():
        below = f' below data_root={root!r}' if root and path != Path(root) else ''
        text = f'{option}: {path} does not exist{below}. Name another with --cfg-options '
        yield Finding(FileNotFoundError, f'{text}{option}=PATH')
    elif path.is_file() and key == 'ann_file' and not path.stat().st_size:
        yield error(f'{option}: {path} is empty; list the samples in it')
    elif key == 'data_prefix.img_path':
        tree = os.walk(path, followlinks=True)
        if not any(name.endswith(suffix or '') for _, _, names in tree for name in names):
            yield error(f'{option}: {path} has no file whose name ends in img_suffix={suffix!r}')


def _check_classes(place: str, kind: type | None, dataset: dict) -> Iterator[Finding]:
    """Classes against the categories of COCO's format, or folders."""
    stated = (dataset.get('metainfo') or {}).get('classes')
    classes = stated or getattr(kind, 'METAINFO', {}).get('classes') or range(0)
    root, ann_file = dataset.get('data_root') or '', dataset.get('ann_file')
    if reads_coco(kind) and ann_file:
        yield from check_coco(place.partition('_')[0], str(Path(root, ann_file)), classes)
    elif stated and _is_of_folders(dataset) and dataset.get('with_label', True):
        yield from check_class_folders(Path(root, dataset.get('data_prefix') or ''), stated)
