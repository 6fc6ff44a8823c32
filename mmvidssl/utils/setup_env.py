"""Registering every module of the package at once."""

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
