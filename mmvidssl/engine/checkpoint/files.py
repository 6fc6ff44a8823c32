"""Checkpoint files: read as plain data, written atomically."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.runner import CheckpointLoader
from mmengine.structures import BaseDataElement
from safetensors.torch import load_file
from torch import Tensor
from torch.hub import load_state_dict_from_url

from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.utils.roles import prepare_checkpoint

CONVERT = (
    'tools/model_converters/ converts what DINO, DoRA and PySlowFast released; for other files see '
    'docs/en/howto/loading.md.'
)
BUFFER_KEY = 'history_buffer'


class UnsafeCheckpointError(ValueError):
    """A checkpoint cannot be read without running a class or function that it names.

    Args:
        checkpoint: Its path or address.
        name: The class or function, ``module.name``.
    """

    def __init__(self, checkpoint: str, name: str) -> None:
        self.name = name
        super().__init__(
            f'{checkpoint} does not open as plain data: it holds a {name}, and reading that could '
            f'run code from the file. {CONVERT}'
        )


def read_content(checkpoint: str) -> dict[str, Any]:
    """All contents of a checkpoint; a bare ``state_dict`` comes as ``{'state_dict': ...}``.

    Args:
        checkpoint: A path, ``*.safetensors`` too, or an address that MMEngine fetches
            (``https://``, ``s3://``, ...).

    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeCheckpointError: if it holds more than plain data.
        ValueError: if it is no checkpoint.
    """
    content = _read(checkpoint)
    if not isinstance(content, Mapping):
        raise ValueError(f'{checkpoint} holds a {type(content).__name__}, not a checkpoint')
    content = prepare_checkpoint(dict(content))
    return content if 'state_dict' in content else dict(state_dict=content)


def read_plain(checkpoint: str) -> dict[str, Any]:
    """A checkpoint's ``state_dict``, tensors by name, and its ``meta``, empty if it has none.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_content`, and if it holds no weights.
    """
    content = read_content(checkpoint)
    state_dict, meta = content['state_dict'], content.get('meta')
    weights = {key: value for key, value in state_dict.items() if isinstance(value, Tensor)}
    if not weights:
        found = ', '.join(map(str, state_dict))[:200]
        raise ValueError(f'{checkpoint} holds no state_dict, only {found or "nothing"}. {CONVERT}')
    return dict(state_dict=weights, meta=meta if isinstance(meta, Mapping) else {})


def read_weights(checkpoint: str) -> dict[str, Tensor]:
    """The tensors of :func:`read_plain`, by name."""
    return read_plain(checkpoint)['state_dict']


def _read(checkpoint: str) -> Any:
    load: Callable[..., Any] = partial(torch.load, weights_only=True)
    if checkpoint.startswith(('http://', 'https://')):
        load = _fetch
    elif '://' in checkpoint:
        load = CheckpointLoader.load_checkpoint
    elif not Path(checkpoint).is_file():
        raise FileNotFoundError(f'{checkpoint} does not exist')
    elif checkpoint.endswith('.safetensors'):
        load = load_from_safetensors
    try:
        return load(checkpoint, map_location='cpu')
    except (PermissionError, URLError):
        raise
    except Exception as error:  # the unpickler may raise anything for bytes that are no checkpoint
        named = re.search(r'Unsupported (?:global|class|operand)[^\n]*?(\w+\.[\w.]+)', str(error))
        if named:
            raise UnsafeCheckpointError(checkpoint, named[1]) from error
        reason = f'{type(error).__name__}: {error}'[:200]
        raise ValueError(
            f'{checkpoint} does not open as plain data ({reason}). {CONVERT}'
        ) from error


# Registered for MMEngine's own loading, by an init_cfg or load_from, as well.
@CheckpointLoader.register_scheme(prefixes=r'(?!\w+://).*\.safetensors$', force=True)
def load_from_safetensors(filename: str, map_location: Any = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name."""
    return load_file(filename, device=str(map_location or 'cpu'))


def _fetch(address: str, map_location: str) -> Any:
    """Download to torch's cache, once for all processes as MMEngine does; read as plain data."""
    load = partial(load_state_dict_from_url, address, map_location=map_location, weights_only=True)
    try:
        content = load() if is_main_process() else None
    finally:
        barrier()  # or the others would wait for one that failed
    return content if is_main_process() else load()


class AtomicBackend(LocalBackend):
    """MMEngine's local file backend, which writes to a temporary name, syncs and renames.

    A run that is killed while it saves leaves the previous file, never a half-written one.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` to ``filepath``.

        Raises:
            OSError: names the file and the reason (a full disk, say); nothing is left behind.
        """
        try:
            with atomic_path(filepath) as temporary:
                temporary.write_bytes(obj)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(error.errno, f'could not write {filepath} ({reason})') from error

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write a text in the same way."""
        self.put(obj.encode(encoding), filepath)


register_backend('atomic', AtomicBackend, force=True)


def pack_message_hub(state: dict) -> dict:
    """Convert ``MessageHub.state_dict()`` to dicts, lists, tensors, numbers and strings.

    Values of any other type are left out, with a warning that names them.
    """
    scalars = {}
    for key, buffer in state['log_scalars'].items():
        values, counts = buffer.data
        scalars[key] = {
            BUFFER_KEY: dict(
                values=torch.from_numpy(np.asarray(values, dtype=np.float64)),
                counts=torch.from_numpy(np.asarray(counts, dtype=np.int64)),
                max_length=buffer.max_length,
            )
        }
    info = {}
    for key, value in state['runtime_info'].items():
        try:
            info[key] = to_plain(value)
        except TypeError as error:
            MMLogger.get_current_instance().warning(
                f'runtime info {key!r} is left out of the checkpoint: {error}'
            )
    return dict(
        log_scalars=scalars, runtime_info=info, resumed_keys=to_plain(state['resumed_keys'])
    )


def unpack_message_hub(state: dict) -> dict:
    """Inverse of :func:`pack_message_hub`; anything else in ``state`` is left as it is."""
    scalars = {}
    for key, value in state['log_scalars'].items():
        if isinstance(value, Mapping) and BUFFER_KEY in value:
            packed = value[BUFFER_KEY]
            value = HistoryBuffer(
                packed['values'].cpu().numpy(), packed['counts'].cpu().numpy(), packed['max_length']
            )
        scalars[key] = value
    return {**state, 'log_scalars': scalars}


def to_plain(value: Any) -> Any:
    """Convert to plain data, part by part: NumPy to numbers and tensors, data samples to dicts.

    Raises:
        TypeError: names the type that ``torch.load(weights_only=True)`` would refuse.
    """
    if isinstance(value, np.generic):  # first: np.float64 is a float as well
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str, bytes, Tensor)):
        return value
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, BaseDataElement):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    for part in ('tensor', 'masks'):  # of mmdetection's boxes and masks
        if hasattr(value, part):
            return to_plain(getattr(value, part))
    if isinstance(value, (tuple, list)):
        items = [to_plain(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    raise TypeError(f'a {type(value).__name__} cannot be stored as plain data')
