"""Checks of a config: refuse what would silently not do what its author wrote."""

import difflib
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from .listing import some

# Read by MMEngine's runner from the config alone; they are no parameters of its constructor.
CONFIG_ONLY_KEYS = {
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'sync_bn',
}
# Keys of dicts that the runner reads itself, so that no class refuses a misspelt one.
INNER_KEYS = {
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
}


def runner_keys() -> set[str]:
    """The top-level keys that MMEngine's runner reads from a config."""
    from mmengine.runner import Runner

    parameters = set(inspect.signature(Runner.__init__).parameters)
    return (parameters - {'self', 'cfg'}) | CONFIG_ONLY_KEYS


def check_top_level(cfg: Config) -> None:
    """Refuse misspelt keys that the runner reads itself, and would ignore.

    A config may define variables of its own, so at the top only names close to a key are refused.

    Raises:
        ValueError: names the key and the one that was probably meant.
    """
    for place, known in {'': runner_keys(), **INNER_KEYS}.items():
        for key in set((cfg.get(place) or {}) if place else cfg) - known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.0 if place else 0.85)
            if close:
                wrong, meant = (f'{place}.{name}'.lstrip('.') for name in (key, close[0]))
                raise ValueError(
                    f'{cfg.filename}: unknown config key {wrong!r}, which the runner would ignore. '
                    f'Did you mean {meant!r}? (If it is a variable of your own, rename it.)'
                )


def check_overrides(cfg: Config, options: Iterable[str]) -> None:
    """Refuse a dotted ``--cfg-options`` key that would change nothing.

    Parts of a key may be new, since most options have defaults and MMEngine makes the dicts on the
    way, unless they resemble an existing one. Lists are entered by index. Variables of the config
    file are refused too: their values were copied into options when the file was read.

    Args:
        cfg: The config before the options are merged.
        options: Dotted keys, ``'optim_wrapper.optimizer.lr'``.

    Raises:
        ValueError: names the part that does not exist, and the nearest one that does; or where the
            value of a variable went.
    """
    for option in options:
        parts = option.split('.')
        if parts[0] in cfg and parts[0] not in runner_keys():
            _refuse_variable(cfg, option)
        node = cfg
        for depth, part in enumerate(parts):
            names = _names(node) if depth else set(cfg) | runner_keys()
            is_leaf = depth == len(parts) - 1
            close = difflib.get_close_matches(part, names, n=1, cutoff=0.6)
            may_be_new = isinstance(node, dict) and (is_leaf or depth and not close)
            if part not in names and not may_be_new:
                hint = (
                    f'Did you mean {".".join([*parts[:depth], close[0]])!r}?'
                    if close
                    else (f'There is {", ".join(sorted(names)[:12]) or "nothing"}.')
                )
                raise ValueError(
                    f'--cfg-options {option}: unknown config key '
                    f'{".".join(parts[: depth + 1])!r} in {cfg.filename}. {hint}'
                )
            node = _enter(node, part)
            if node is None:
                break


def _refuse_variable(cfg: Config, option: str) -> None:
    name, _, inner = option.partition('.')
    read = {key: cfg[key] for key in cfg if key in runner_keys()}
    found = [f'{place}.{inner}' if inner else place for place in _find_value(read, cfg[name])]
    advice = f'Of the options, these have its value: {some(found, 8)}. ' if found else ''
    raise ValueError(
        f'--cfg-options {option}: {name!r} is a variable of {cfg.filename} that only the file '
        f'itself reads, before options are set: nothing would change. {advice}'
        'Set what is made of it, or change a copy of the config.'
    )


def _find_value(node: Any, value: Any, place: str = '') -> Iterator[str]:
    """Dotted keys that have a value; for a string, also those that begin with it."""
    is_begun = isinstance(value, str) and value and isinstance(node, str) and node.startswith(value)
    if is_begun or (type(node) is type(value) and node == value):
        yield place
    elif isinstance(node, (dict, list, tuple)):
        parts = node if isinstance(node, dict) else dict(enumerate(node))
        for key, part in parts.items():
            yield from _find_value(part, value, f'{place}.{key}' if place else str(key))


def check_trainable(cfg: Config) -> None:
    """Refuse to train a model for test-time augmentation (``*TTAModel``).

    MMEngine would build it, load its data, and fail in the first iteration.

    Raises:
        ValueError: says what such a config is for.
    """
    model = cfg.get('model') or {}
    if str(model.get('type')).endswith('TTAModel'):
        raise ValueError(
            f'{cfg.filename} is for testing alone (tools/test.py): its {model["type"]} averages '
            'over views of an image. Train the config that it inherits from.'
        )


def check_pretrained_files(cfg: Config) -> None:
    """Refuse missing files of pretrained weights, before data are read and a model is built.

    Files of an ``init_cfg`` may be missing where ``PretrainedReportHook`` lets ``load_from``, or
    the checkpoint of a resumed run, take their place.

    Raises:
        FileNotFoundError: says where the config names the file, and the option that names another.
    """
    model = None if _starts_elsewhere(cfg) else cfg.get('model')
    for place, node in dicts_in(model, 'model'):
        checkpoint = node.get('checkpoint') if node.get('type') == 'Pretrained' else None
        if (
            isinstance(checkpoint, str)
            and '://' not in checkpoint
            and not Path(checkpoint).is_file()
        ):
            raise FileNotFoundError(
                f'{cfg.filename}: {place}: {checkpoint} does not exist. Name the pretrained '
                f'weights with --cfg-options {place}.checkpoint=PATH'
            )
    start = cfg.get('load_from')
    if isinstance(start, str) and '://' not in start and not Path(start).is_file():
        raise FileNotFoundError(
            f'{cfg.filename}: load_from: {start} does not exist. Name a checkpoint to start from '
            'with --cfg-options load_from=PATH, or load_from=None'
        )


def _starts_elsewhere(cfg: Config) -> bool:
    hooks = [
        hook.get('type') if isinstance(hook, dict) else type(hook)
        for hook in cfg.get('custom_hooks') or []
    ]
    if not any('PretrainedReportHook' in str(hook) for hook in hooks):
        return False
    written = Path(cfg.get('work_dir') or '.')
    can_resume = any(written.glob('*.pth')) or (written / 'last_checkpoint').is_file()
    return bool(cfg.get('load_from') or cfg.get('resume') and can_resume)


def dicts_in(node: Any, place: str) -> Iterator[tuple[str, dict]]:
    """Every dict within a node, and its dotted name."""
    if isinstance(node, dict):
        yield place, node
    parts = dict(enumerate(node)) if isinstance(node, (list, tuple)) else node
    for key, child in parts.items() if isinstance(parts, dict) else ():
        yield from dicts_in(child, f'{place}.{key}')


def _names(node) -> set[str]:
    if isinstance(node, (Config, ConfigDict, dict)):
        return set(node)
    if isinstance(node, (list, tuple)):
        return {str(index) for index in range(len(node))}
    return set()


def _enter(node, part: str):
    if isinstance(node, (list, tuple)):
        return node[int(part)] if part.isdigit() and int(part) < len(node) else None
    return node.get(part) if hasattr(node, 'get') else None
