"""Lists and folders of data that a config names, looked for before anything is built."""

import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmvidssl.registry import DATASETS

from .detection import check_coco_classes, read_coco, reads_coco
from .files import ON_DISK
from .findings import Finding, error, refuse
from .image_folders import check_class_folders

FILES = ('ann_file', 'exclude_file', 'label_file', 'proposal_file')
OF_FOLDERS = ('ImageNet', 'CustomDataset')
"""Data sets of mmpretrain that read a folder, and do not download what it lacks."""
SHORT = 4096
"""Bytes: a longer list is not looked into for a line that is not blank."""
PARTS = ('train', 'val', 'test')


class Named(NamedTuple):
    """A file or folder that an option names, and what a folder holds; folders of what is listed
    may not be there, as a list may name its files from the root."""

    option: str
    path: Path
    holds: str
    is_listed: bool


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
            annotation file does not have the classes, or nothing that can be learnt.
    """
    refuse(str(cfg.filename), find_in_config(cfg, parts), lambda _: None)


def find_in_config(cfg: Config, parts: Sequence[str]) -> Iterator[Finding]:
    """As :func:`check_config`."""
    for place, stated in _data_of(cfg, parts):
        kind, node = _with_defaults(stated, cfg)
        backend = node.get('backend_args') or node.get('file_client_args') or {}
        if backend.get('backend', 'local') in ON_DISK:
            for named in _named(place, node):
                # A default of MMEngine's need not be there: data sets may read something else.
                is_stated = '.data_prefix.' not in named.option or stated.get('data_prefix')
                if is_stated and ':/' not in str(named.path) and not named.is_listed:
                    yield from _check_path(named, node)
            yield from _check_coco(place, node, kind)
            yield from check_class_folders(place, node)


def expected_tree(cfg: Config, says_missing: bool = False) -> str:
    """The files and folders that a config's paths name, as a tree; ``says_missing`` marks some."""
    tree: dict[str, dict] = {}
    for place, node in _data_of(cfg, PARTS):
        for named in _named(place, _with_defaults(node, cfg)[1]):
            branch = tree
            for step in named.path.parts:
                branch = branch.setdefault(step, {})
            if named.holds:
                branch.setdefault(named.holds, {})
    return '\n'.join(_lines(tree, Path(), '', says_missing))


def _lines(tree: dict[str, dict], folder: Path, indent: str, says_missing: bool) -> Iterator[str]:
    for step, below in tree.items():
        name = Path(step)
        while len(below) == 1 and next(iter(below.values())):
            step, below = next(iter(below.items()))
            name /= step
        path, is_pattern = folder / name, '<' in step or '*' in step
        is_missing = says_missing and not is_pattern and not path.exists()
        yield f'{indent}{name}{"/" if below else ""}{"   (missing)" if is_missing else ""}'
        yield from _lines(below, path, indent + '    ', says_missing)


def _data_of(cfg: Config, parts: Sequence[str]) -> Iterator[tuple[str, dict]]:
    for name in (f'{part}_{kind}' for part in parts for kind in ('dataloader', 'evaluator')):
        for place, node in _dicts(cfg.get(name), name):
            if any(node.get(key) for key in (*FILES, 'data_root', 'data_prefix')):
                yield place, node


def _dicts(node: Any, place: str) -> Iterator[tuple[str, dict]]:
    """Every dict within a node, and its dotted name."""
    if isinstance(node, dict):
        yield place, node
        for key, child in node.items():
            yield from _dicts(child, f'{place}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, child in enumerate(node):
            yield from _dicts(child, f'{place}.{index}')


def _with_defaults(node: dict, cfg: Config) -> tuple[type | None, dict]:
    """The class of a data set, and its options with those that the config leaves out."""
    scope, name = node.get('_scope_') or cfg.get('default_scope'), str(node.get('type'))
    kind = DATASETS.get(f'{scope}.{name}' if scope and '.' not in name else name)
    defaults = {}
    for base in reversed(inspect.getmro(kind)[:-1] if inspect.isclass(kind) else ()):
        parameters = inspect.signature(base).parameters
        defaults.update({k: p.default for k, p in parameters.items() if p.default is not p.empty})
    return kind, {**defaults, **node}


def _named(place: str, dataset: dict) -> Iterator[Named]:
    """What a data set's config names."""
    root, ann_file = dataset.get('data_root') or '', dataset.get('ann_file')

    def named(key: str, value: str, holds: str = '', is_listed: bool = False) -> Named:
        # MMEngine puts the root before it, mmaction2 not always.
        path = Path(root, value)
        path = Path(value) if value and not path.exists() and Path(value).exists() else path
        return Named(f'{place}.{key}', path, holds, is_listed)

    for key in FILES:
        if isinstance(dataset.get(key), str) and dataset[key]:
            yield named(key, dataset[key])
    prefix = dataset.get('data_prefix') or dataset.get('split') or ''
    is_of_folders = str(dataset.get('type')).split('.')[-1] in OF_FOLDERS
    if is_of_folders and not ann_file and isinstance(prefix, str):
        key = 'data_prefix' if dataset.get('data_prefix') else 'data_root'
        yield named(key, prefix, '<class>/<picture>')
    elif isinstance(prefix, dict):
        for key, value in prefix.items():
            suffix = dataset.get('img_suffix' if key == 'img_path' else 'seg_map_suffix', '')
            suffix = dataset.get('depth_map_suffix', '') if key == 'depth_map_path' else suffix
            holds = f'<as in {Path(ann_file).name}>' if ann_file else f'*{suffix}'
            is_listed = bool(ann_file) or 'img_path' not in prefix
            if isinstance(value, str) and (value or root):
                yield named(f'data_prefix.{key}', value, holds, is_listed)


def _check_path(named: Named, dataset: dict) -> Iterator[Finding]:
    """What is not there, a list without a line, and a folder without an image to list."""
    option, path, _, _ = named
    root, suffix = dataset.get('data_root'), dataset.get('img_suffix') or ''
    if option.endswith('.data_root') and not Path(root or '').exists():
        path = Path(root or '')
    if not path.exists():
        below = f' below data_root={root!r}' if root and path != Path(root) else ''
        text = f'{option}: {path} does not exist{below}. Name another with --cfg-options '
        yield Finding(FileNotFoundError, f'{text}{option}=PATH')
    elif path.is_file() and option.endswith('.ann_file'):
        if path.stat().st_size < SHORT and not path.read_bytes().strip():
            yield error(f'{option}: {path} is empty; list the samples in it')
    elif option.endswith('.img_path'):
        tree = os.walk(path, followlinks=True)
        if not any(name.endswith(suffix) for _, _, names in tree for name in names):
            text = f'{option}: {path} has no file whose name ends in img_suffix={suffix!r}'
            yield error(text)


def _check_coco(place: str, dataset: dict, kind: type | None) -> Iterator[Finding]:
    classes = (dataset.get('metainfo') or {}).get('classes')
    path = Path(dataset.get('data_root') or '', str(dataset.get('ann_file') or ''))
    if path.suffix != '.json' or not path.is_file():
        return
    if reads_coco(kind) and not place.startswith('test'):
        yield from (f for f in read_coco(str(path)).faults if f.kind is ValueError)
    # Those of Objects365V1 are sorted; what labels they got is known once they are built.
    is_sorted = 'Objects365V1' in str(dataset.get('type'))
    if classes and not is_sorted and not isinstance(classes, str):
        for finding in check_coco_classes(str(path), classes):
            yield finding._replace(text=f'{place}: {finding.text}')
