"""The environment of a run: registered modules, processor cores, the group of processes."""

import os
from importlib import import_module

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


def leave_group() -> None:
    """Leave the group of processes, if there is one: for the end of a run that succeeded.

    PyTorch asks for it: without it one that leaves first may end the others in an abort.
    """
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
