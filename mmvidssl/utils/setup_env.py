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
    """Processor cores that this process may use, as limited by a scheduler or a container."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def join_group_without_gpu(cfg: Any) -> None:
    """Initialise ``torch.distributed`` with gloo for a launched run without a GPU.

    MMEngine's runner, which then skips this step, would need CUDA for it and to wrap the model.

    Args:
        cfg: Config of the run; its ``model_wrapper_cfg`` is set in place.
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
    """Destroy the process group, if there is one, at the end of a run that succeeded.

    PyTorch asks for it: otherwise the first process that exits may make the others abort.
    """
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
