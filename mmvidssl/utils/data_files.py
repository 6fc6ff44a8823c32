"""Lists and folders of data that a config names, looked for before data are read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

FILES = ('ann_file', 'exclude_file', 'label_file', 'proposal_file')
OF_FOLDERS = ('ImageNet', 'CustomDataset')
"""Data sets of mmpretrain that read a folder, and do not download what it lacks."""


def check_data_files(cfg: Config, parts: Sequence[str] = ('train', 'val')) -> None:
    """Refuse annotation files and folders of data that are not there.

    The libraries say that there is no such file, but not which option of the config names it.

    Args:
        cfg: The config.
        parts: Of the run: whose data loaders and evaluators to look at.

    Raises:
        FileNotFoundError: says which option names it, and how the path is put together.
    """
    for part in parts:
        loader = cfg.get(f'{part}_dataloader') or {}
        for place, dataset in leaves(loader.get('dataset'), f'{part}_dataloader.dataset'):
            if _is_on_disk(dataset):
                _check(cfg, place, dataset.get('data_root') or '', dict(_paths(dataset)))
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
        if path.exists() or (value and Path(value).exists()):
            continue
        made_of = f'It is put together from data_root={root!r} and {value!r}. ' if value else ''
        other = f' or {place}.data_root=PATH' if root and key != 'data_root' else ''
        raise FileNotFoundError(
            f'{cfg.filename}: {place}.{key}: {path} does not exist. {made_of if root else ""}Name '
            f'another with --cfg-options {place}.{key}=PATH{other}'
        )


def _listed(evaluators: Any) -> list[dict]:
    listed = [evaluators] if isinstance(evaluators, dict) else evaluators
    return [evaluator for evaluator in listed if isinstance(evaluator, dict)]
