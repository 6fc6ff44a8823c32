"""The environment of a run: registered modules, processor cores, the group of processes."""

import os
from datetime import timedelta
from importlib import import_module
from typing import Any

PILLARS = ('datasets', 'models', 'engine', 'evaluation', 'structures', 'visualization')


def register_all_modules(init_default_scope: bool = True) -> None:
    """Import all pillars, so that their classes are in the registries.

    Args:
        init_default_scope: Also make ``mmvidssl`` the scope in which a bare ``type='DoRA'`` is
            looked up.
    """
    from mmengine.registry import DefaultScope

    for pillar in PILLARS:
        import_module(f'mmvidssl.{pillar}')
    if init_default_scope:
        DefaultScope.get_instance('mmvidssl-all', scope_name='mmvidssl')


def num_cores() -> int:
    """Processor cores that this process may use: a scheduler or a container may give it fewer."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def join_group_without_gpu(cfg: Any) -> None:
    """Join the other processes over gloo, where there is no GPU.

    MMEngine's runner, which finds them joined, would ask for CUDA to do so and to wrap the model.

    Args:
        cfg: Of the run; changed in place: how the model is wrapped.
    """
    from mmengine.device import get_device
    from torch import distributed

    if cfg.launcher != 'pytorch' or get_device() != 'cpu':
        return
    seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
    distributed.init_process_group('gloo', timeout=timedelta(seconds=seconds))
    unused = cfg.get('find_unused_parameters', False)
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        broadcast_buffers=False, find_unused_parameters=unused
    )
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def leave_group() -> None:
    """Leave the group of processes, if there is one: for the end of a run that succeeded.

    PyTorch asks for it: without it one that leaves first may end the others in an abort.
    """
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
