"""Replaying an iteration whose loss or gradient was not finite."""

import os

import torch
from mmengine.registry import init_default_scope

from mmvidssl.engine.checkpoint import read_content
from mmvidssl.registry import MODELS


def replay_iteration(
    path: str | os.PathLike,
    device: str | torch.device = 'cpu',
    autocast_dtype: torch.dtype | None = None,
) -> dict[str, float]:
    """Recompute the losses of an iteration that ``NaNGuardHook`` saved.

    Args:
        path: The file that it saved, ``nan_iter_<iteration>.pth``.
        device: Where to compute. Random numbers (stochastic depth) are those of the run only on the
            kind of device it ran on.
        autocast_dtype: The dtype of autocast in the run; None for float32.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not what NaNGuardHook saves, or the run had no config to build its
            model from.
    """
    saved = read_content(str(path))
    if saved.get('model_cfg') is None or 'random_state' not in saved:
        raise ValueError(
            f'{path} does not hold a batch and the config of a model, as NaNGuardHook saves them '
            f'in pretraining that is built from a config; it holds {sorted(saved)}'
        )
    init_default_scope('mmvidssl')
    device_type = torch.device(device).type
    with torch.random.fork_rng(devices=None if device_type == 'cuda' else ()):
        model = MODELS.build(saved['model_cfg']).to(device).train()
        model.load_state_dict(saved['state_dict'])
        if saved['teacher_temp'] is not None:
            model.set_teacher_temp(saved['teacher_temp'])
        _set_random_state(saved['random_state'], device_type)
        autocast = torch.autocast(device_type, autocast_dtype, autocast_dtype is not None)
        with torch.no_grad(), autocast:
            batch = model.data_preprocessor(saved['batch'], training=True)
            losses = model(**batch, mode='loss')
    return {name: value.item() for name, value in losses.items()}


def _set_random_state(state: dict, device_type: str) -> None:
    torch.set_rng_state(state['cpu'])
    if device_type == 'cuda' and 'cuda' in state:
        torch.cuda.set_rng_state(state['cuda'])
