"""Message hubs as plain data, so that a checkpoint opens without unpickling objects."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MMLogger

BUFFER_KEY = 'history_buffer'


def pack_message_hub(state: dict) -> dict:
    """``MessageHub.state_dict()`` -> the same in dicts, lists, tensors, numbers and strings.

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
    """Numpy scalars and arrays become numbers and tensors, containers are walked through.

    Raises:
        TypeError: names the type that ``torch.load(weights_only=True)`` would refuse.
    """
    if isinstance(value, np.generic):  # first: np.float64 is a float as well
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str, bytes, torch.Tensor)):
        return value
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, Mapping):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(to_plain(item) for item in value)
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    raise TypeError(f'a {type(value).__name__} cannot be stored as plain data')
