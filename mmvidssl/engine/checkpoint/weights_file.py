"""The weights of a file, read as plain data."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.runner import CheckpointLoader
from torch import Tensor
from torch.hub import load_state_dict_from_url

CONVERT = (
    'Plain are checkpoints of PlainCheckpointHook and what tools/model_converters/publish_model.py '
    'makes of them; dora_to_mmvidssl.py and slowfast_to_mmvidssl.py beside it make plain what the '
    'authors of DINO, DoRA and MaskFeat released.'
)
CONVERTERS = 'tools/model_converters/'
RELEASED = {
    'model_state': (f'{CONVERTERS}slowfast_to_mmvidssl.py', 'a file of PySlowFast'),
    'student': (f'{CONVERTERS}dora_to_mmvidssl.py', "a file of DoRA's, DINO's or iBOT's code"),
    'teacher': (f'{CONVERTERS}dora_to_mmvidssl.py', "a file of DoRA's, DINO's or iBOT's code"),
}
"""By a key of a released file: what converts it, and what it is."""
EXTRACT = (
    "A training checkpoint of MMEngine's CheckpointHook, if you trust it, becomes plain by "
    "torch.save(dict(state_dict=torch.load(OLD, weights_only=False)['state_dict']), NEW). "
)


class UnsafeCheckpointError(ValueError):
    """A checkpoint names a class or function that reading it would have to run.

    Args:
        checkpoint: Its path or address.
        name: What it names, ``module.name``.
    """

    def __init__(self, checkpoint: str, name: str) -> None:
        self.name = name
        extract = EXTRACT if name.startswith(('mmengine.', 'numpy.')) else ''
        super().__init__(
            f'{checkpoint} does not open as plain data (it holds a {name}, and reading that could '
            f'run code from the file). {extract}{CONVERT}'
        )


def read_content(checkpoint: str) -> dict[str, Any]:
    """All that a checkpoint holds; a file that is a ``state_dict`` itself is wrapped in one.

    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeCheckpointError: if it holds more than plain data.
        ValueError: if it is no checkpoint.
    """
    content = _read(checkpoint)
    if not isinstance(content, Mapping):
        raise ValueError(f'{checkpoint} holds a {type(content).__name__}, not a checkpoint')
    return dict(content) if 'state_dict' in content else dict(state_dict=content)


def read_weights(checkpoint: str) -> dict[str, Tensor]:
    """All tensors of a checkpoint's ``state_dict``, or of a file that is one, by name.

    See :func:`read_plain` for what it takes and raises.
    """
    return read_plain(checkpoint)['state_dict']


def read_plain(checkpoint: str) -> dict[str, Any]:
    """A checkpoint's ``state_dict``, tensors by name, and its ``meta``, empty if it has none.

    Args:
        checkpoint: A path, or an address that MMEngine fetches (``https://``, ``s3://``, ...).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no weights, or more than plain data; says what makes it plain.
    """
    content = _read(checkpoint)
    is_dict = isinstance(content, Mapping)
    state_dict = content.get('state_dict', content) if is_dict else {}
    weights = {key: value for key, value in state_dict.items() if isinstance(value, Tensor)}
    if not weights:
        found = f'only {", ".join(map(str, content))}' if is_dict else f'a {type(content).__name__}'
        released = next((RELEASED[key] for key in RELEASED if key in state_dict), None)
        named = f'It is {released[1]}: convert it with {released[0]}. ' if released else ''
        raise ValueError(f'{checkpoint} holds no state_dict, {found[:200]}. {named}{CONVERT}')
    meta = content.get('meta')
    return dict(state_dict=weights, meta=meta if isinstance(meta, Mapping) else {})


def _read(checkpoint: str) -> Any:
    load: Callable[..., Any] = partial(torch.load, weights_only=True)
    if checkpoint.startswith(('http://', 'https://')):
        load = _fetch
    elif '://' in checkpoint:
        load = CheckpointLoader.load_checkpoint
    elif not Path(checkpoint).is_file():
        raise FileNotFoundError(f'{checkpoint} does not exist')
    try:
        return load(checkpoint, map_location='cpu')
    except (PermissionError, URLError):
        raise
    except Exception as error:  # bytes that are no checkpoint make the unpickler fail anyhow
        raise _explain(checkpoint, error) from error


def _fetch(address: str, map_location: str) -> Any:
    """As MMEngine does, into torch's cache and once for all processes; but as plain data."""
    load = partial(load_state_dict_from_url, address, map_location=map_location, weights_only=True)
    try:
        content = load() if is_main_process() else None
    finally:
        barrier()  # or the others would wait for one that failed
    return content if is_main_process() else load()


def _explain(checkpoint: str, error: Exception) -> ValueError:
    """What torch says at length, but for its advice to trust the file."""
    found = re.search(r'Unsupported (?:global|class|operand)[^\n]*?(\w+\.[\w.]+)', str(error))
    if found:
        return UnsafeCheckpointError(checkpoint, found[1])
    reason = f'{type(error).__name__}: {error}'[:200]
    return ValueError(f'{checkpoint} does not open as plain data ({reason}). {CONVERT}')
