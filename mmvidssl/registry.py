"""Registries of mmvidssl: children of MMEngine's, all in the scope ``mmvidssl``.

Each imports the module in its ``locations`` when something is first built from it, so that
importing this file is quick and pulls in none of the sibling OpenMMLab packages. Some stay empty:
they are here because MMEngine warns in every run if the default scope lacks a registry.
"""

import functools
import inspect
from collections.abc import Callable
from difflib import get_close_matches

from mmengine import registry as mmengine
from mmengine.registry import Registry as MMEngineRegistry


class Registry(MMEngineRegistry):
    """MMEngine's registry, whose classes suggest the right name for an unknown option.

    For options of earlier versions, ``REMOVED`` of a class says what to write instead.
    """

    def _register_module(self, module, *args, **kwargs) -> None:
        if inspect.isclass(module):
            module.__init__ = _explain_options(module.__init__)  # type: ignore[method-assign]
        super()._register_module(module, *args, **kwargs)


def _explain_options(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def explained_init(self, *args, **kwargs) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError as error:
            options: set[str] = set()
            removed = {
                k: v for b in type(self).__mro__ for k, v in getattr(b, 'REMOVED', {}).items()
            }
            for base in type(self).__mro__:  # those that **kwargs are passed on to
                parameters = inspect.signature(base.__init__).parameters  # type: ignore[misc]
                options |= parameters.keys() - {'self', 'args', 'kwargs'}
                if all(p.kind != p.VAR_KEYWORD for p in parameters.values()):
                    break
            unknown = sorted(kwargs.keys() - options)
            if not unknown or 'unexpected keyword' not in str(error):
                raise
            name = next(filter(removed.get, unknown), unknown[0])
            likes = get_close_matches(name, options, n=1)
            hint = (
                f'did you mean {likes[0]!r}?' if likes else f'it has {", ".join(sorted(options))}'
            )
            hint = f' any more: {removed[name]}' if name in removed else f': {hint}'
            raise TypeError(f'{type(self).__name__} has no option {name!r}{hint}') from error

    return explained_init


def _child(parent: MMEngineRegistry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='mmvidssl', locations=[*locations])


# Pillar 1: from disk to a batch
DATASETS = _child(mmengine.DATASETS, 'mmvidssl.datasets')
DATA_SAMPLERS = _child(mmengine.DATA_SAMPLERS, 'mmvidssl.datasets.samplers')
TRANSFORMS = _child(mmengine.TRANSFORMS, 'mmvidssl.datasets.transforms')
# Functions that batch samples; a data loader's config names them 'mmvidssl.<function>'
FUNCTIONS = _child(mmengine.FUNCTIONS, 'mmvidssl.datasets')
VIDEO_READERS = Registry('video reader', scope='mmvidssl', locations=['mmvidssl.datasets.readers'])

# Pillar 2: functions of inputs and state
MODELS = _child(mmengine.MODELS, 'mmvidssl.models')
WEIGHT_INITIALIZERS = _child(mmengine.WEIGHT_INITIALIZERS, 'mmvidssl.models')

# Pillar 3: time
HOOKS = _child(mmengine.HOOKS, 'mmvidssl.engine.hooks', 'mmvidssl.apis')
LOOPS = _child(mmengine.LOOPS, 'mmvidssl.engine')
OPTIMIZERS = _child(mmengine.OPTIMIZERS, 'mmvidssl.engine.optimizers')
OPTIM_WRAPPERS = _child(mmengine.OPTIM_WRAPPERS, 'mmvidssl.engine.optimizers')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    mmengine.OPTIM_WRAPPER_CONSTRUCTORS, 'mmvidssl.engine.optimizers'
)
PARAM_SCHEDULERS = _child(mmengine.PARAM_SCHEDULERS, 'mmvidssl.engine.schedulers')

# Pillar 4: numbers
METRICS = _child(mmengine.METRICS, 'mmvidssl.evaluation')

# Pillar 5: pictures
VISUALIZERS = _child(mmengine.VISUALIZERS, 'mmvidssl.visualization')
VISBACKENDS = _child(mmengine.VISBACKENDS, 'mmvidssl.visualization')
