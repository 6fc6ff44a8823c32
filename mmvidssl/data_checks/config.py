"""Checks that the files and folders of a config exist, before anything is built."""

import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvidssl.registry import DATASETS
from mmvidssl.utils.checks import dicts_in
from mmvidssl.utils.listing import some

from .classification import find_class_folders
from .detection import check_coco, reads_coco
from .subject import ON_DISK, Finding, error, refuse

FILES = ('ann_file', 'exclude_file', 'label_file', 'proposal_file')
CLASS_FOLDERS = '<class>/<picture>'
OF_FOLDERS = ('ImageNet', 'CustomDataset')  # mmpretrain's that download nothing


def check_config(cfg: Config, parts: Sequence[str] = ('train', 'val')) -> None:
    """Raise what :func:`find_in_config` finds, naming the option, which libraries do not."""
    refuse(str(cfg.filename), find_in_config(cfg, parts), lambda _: None)


def find_in_config(cfg: Config, parts: Sequence[str]) -> Iterator[Finding]:
    """Find files and folders that are missing or empty, and faulty COCO annotations."""
    for place, kind, node in _data_of(cfg, parts):
        backend = node.get('backend_args') or node.get('file_client_args') or {}
        if backend.get('backend') not in ON_DISK:
            continue
        found = [
            fault
            for key, path, holds in _named(node)
            for fault in (*_check_path(place, key, path, node), *_check_classes(path, holds, node))
        ]
        if not found and reads_coco(kind) and node.get('ann_file'):
            classes = (node.get('metainfo') or kind.METAINFO).get('classes') or range(0)
            ann_file = os.path.join(node.get('data_root') or '', node['ann_file'])
            faults = check_coco(place.partition('_')[0], ann_file, classes)
            found = [fault._replace(text=f'{fault.text} ({place})') for fault in faults]
        yield from found


def expected_tree(cfg: Config) -> str:
    """Tree of the folders and files that a config names, ``(missing)`` after absent ones."""
    folders: dict[Path, dict[str, None]] = {}
    for _, _, node in _data_of(cfg, ('train', 'val', 'test')):
        for _, path, holds in _named(node):
            name = f'    {holds or path.name}{"" if path.exists() else "   (missing)"}'
            folders.setdefault(path if holds else path.parent, {})[name] = None
    return '\n'.join(line for folder in folders for line in (f'{folder}/', *folders[folder]))


def _data_of(cfg: Config, parts: Sequence[str]) -> Iterator[tuple[str, Any, dict]]:
    """Data sets and evaluators that name files: config key, class, options with defaults."""
    for part in (f'{part}_{kind}' for part in parts for kind in ('dataloader', 'evaluator')):
        for place, node in dicts_in(cfg.get(part), part):
            if any(node.get(key) for key in (*FILES, 'data_root', 'data_prefix')):
                scope, name = node.get('_scope_') or cfg.get('default_scope'), str(node.get('type'))
                kind = DATASETS.get(f'{scope}.{name}' if scope and '.' not in name else name)
                options: dict[str, Any] = {}
                for base in reversed(inspect.getmro(kind)[:-1] if inspect.isclass(kind) else ()):
                    given = inspect.signature(base).parameters.values()
                    options |= {p.name: p.default for p in given if p.default is not p.empty}
                yield place, kind, {**options, **node}


def _named(dataset: dict) -> Iterator[tuple[str, Path, str]]:
    """Options that name files or folders: key, path, and what a folder should hold."""
    root, ann_file = dataset.get('data_root') or '', dataset.get('ann_file')
    values = {key: dataset[key] for key in FILES if dataset.get(key)}
    prefix = dataset.get('data_prefix') or dataset.get('split') or ''
    is_of_folders = str(dataset.get('type')).split('.')[-1] in OF_FOLDERS and not ann_file
    if isinstance(prefix, dict):
        values |= {f'data_prefix.{key}': value for key, value in prefix.items() if value or root}
    elif is_of_folders:
        values['data_prefix' if dataset.get('data_prefix') else 'data_root'] = prefix
    for key, value in values.items():
        if isinstance(value, str) and '://' not in f'{root} {value}':
            # MMEngine prepends data_root, mmaction2 not always.
            path, alone = Path(root, value), Path(value or root)
            suffix = dataset.get(key.split('.')[-1].replace('_path', '_suffix'), '')
            holds = f'<as in {Path(ann_file).name}>' if ann_file else f'*{suffix}'
            holds = '' if key in FILES else CLASS_FOLDERS if is_of_folders else holds
            yield key, alone if alone.exists() and not path.exists() else path, holds


def _check_path(place: str, key: str, path: Path, dataset: dict) -> Iterator[Finding]:
    """Find a missing path, an empty list, or an image folder without images."""
    root, suffix = dataset.get('data_root') or '', dataset.get('img_suffix') or ''
    if key.startswith('data_prefix.') and (
        dataset.get('ann_file') or not dataset['data_prefix'].get('img_path')
    ):  # a list may have paths from the root; only mmsegmentation's data sets list folders
        return
    if not path.exists():
        below = f' below data_root={root!r}' if root and path != Path(root) else ''
        text = f'{place}.{key}: {path} does not exist{below}. Name another with --cfg-options'
        yield Finding(FileNotFoundError, text)
    elif key == 'ann_file' and path.is_file() and path.stat().st_size < 4096:
        if not path.read_bytes().strip():
            yield error(f'{place}.{key}: {path} is empty; list the samples in it')
    elif key == 'data_prefix.img_path':
        found = (name for *_, names in os.walk(path, followlinks=True) for name in names)
        if not any(name.endswith(suffix) for name in found):
            text = f'{path} has no file whose name ends in img_suffix={suffix!r}'
            yield error(f'{place}.{key}: {text}')


def _check_classes(folder: Path, holds: str, dataset: dict) -> Iterator[Finding]:
    """Find class folders that are not as many as ``metainfo.classes``."""
    classes = (dataset.get('metainfo') or {}).get('classes')
    if holds == CLASS_FOLDERS and isinstance(classes, list | tuple) and folder.is_dir():
        folders = find_class_folders(folder)
        if len(folders) != len(classes):
            text = (
                f'{folder} has folders of {len(folders)} classes, metainfo.classes {len(classes)}'
            )
            alone = some(sorted({*folders} ^ {*classes}), 20)
            yield error(f'{text} (in one alone: {alone}). Make both the same.')
