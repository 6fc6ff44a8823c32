"""Lists and folders of data that a config names, looked for before anything is built."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .detection import check_coco_classes
from .files import ON_DISK
from .image_folders import check_class_folders

FILES = ('ann_file', 'exclude_file', 'label_file', 'proposal_file')
OF_FOLDERS = ('ImageNet', 'CustomDataset')
"""Data sets of mmpretrain that read a folder, and do not download what it lacks."""
SHORT = 4096
"""Bytes: a longer list is not looked into for a line that is not blank."""


def check_config(cfg: Config, parts: Sequence[str] = ('train', 'val')) -> None:
    """Refuse annotation files and folders that are not there or empty, and classes of no category.

    The libraries say that there is no such file, but not which option of the config names it; of no
    samples, that there is nothing to concatenate.

    Args:
        cfg: The config.
        parts: Of the run: whose data loaders and evaluators to look at.

    Raises:
        FileNotFoundError: names the option and the file.
        ValueError: if a list is empty, a folder has no image of the data set's suffix, or a COCO
            annotation file does not have the classes.
    """
    for name in (f'{part}_{kind}' for part in parts for kind in ('dataloader', 'evaluator')):
        for place, node in _dicts(cfg.get(name), name):
            backend = node.get('backend_args') or node.get('file_client_args') or {}
            if backend.get('backend', 'local') in ON_DISK:
                for key, value in _paths(node):
                    if isinstance(value, str):
                        _check_path(f'{place}.{key}', value, node, str(cfg.filename))
                _check_classes(place, node)


def _dicts(node: Any, place: str) -> Iterator[tuple[str, dict]]:
    """Every dict within a node, and its dotted name."""
    if isinstance(node, dict):
        yield place, node
        for key, child in node.items():
            yield from _dicts(child, f'{place}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, child in enumerate(node):
            yield from _dicts(child, f'{place}.{index}')


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


def _check_path(option: str, value: str, dataset: dict, filename: str) -> None:
    """Refuse what is not there, a list without a line, and a folder without an image to list."""
    root, suffix = dataset.get('data_root') or '', dataset.get('img_suffix') or ''
    if '://' in f'{root} {value}':
        return
    # MMEngine puts the root before it, mmaction2 not always.
    path = Path(root, value)
    path = Path(value) if value and not path.exists() and Path(value).exists() else path
    if not path.exists():
        below = f' below data_root={root!r}' if root and value else ''
        raise FileNotFoundError(
            f'{filename}: {option}: {path} does not exist{below}. Name another with --cfg-options '
            f'{option}=PATH'
        )
    if path.is_file() and option.endswith('.ann_file'):
        if path.stat().st_size < SHORT and not path.read_bytes().strip():
            raise ValueError(f'{filename}: {option}: {path} is empty; list the samples in it')
    elif option.endswith('.img_path'):
        tree = os.walk(path, followlinks=True)
        if not any(name.endswith(suffix) for _, _, names in tree for name in names):
            raise ValueError(
                f'{filename}: {option}: {path} has no file whose name ends in img_suffix={suffix!r}'
            )


def _check_classes(place: str, dataset: dict) -> None:
    classes = (dataset.get('metainfo') or {}).get('classes')
    path = Path(dataset.get('data_root') or '', str(dataset.get('ann_file') or ''))
    # Those of Objects365V1 are sorted; what labels they got is known once they are built.
    is_sorted = 'Objects365V1' in str(dataset.get('type'))
    is_read = path.suffix == '.json' and path.is_file() and not is_sorted
    if not classes or isinstance(classes, str):
        return
    if is_read:
        check_coco_classes(place, str(path), classes)
    is_folder = str(dataset.get('type')).split('.')[-1] == 'CustomDataset'
    if is_folder and not dataset.get('ann_file') and dataset.get('with_label', True):
        folder = Path(dataset.get('data_root') or '', dataset.get('data_prefix') or '')
        check_class_folders(place, folder, classes)
