"""Registries of mmvidssl: children of MMEngine's, all in the scope ``mmvidssl``.

Each imports the module in its ``locations`` when something is first built from it, so that
importing this file is quick and pulls in none of the sibling OpenMMLab packages. Some register
nothing: where the default scope has no such registry, MMEngine warns in every run.
"""

import functools
import inspect
from difflib import get_close_matches

from mmengine import registry as mmengine
from mmengine.registry import Registry as MMEngineRegistry


class Registry(MMEngineRegistry):
    """MMEngine's, whose classes say what was meant by an option that they do not have."""

    def _register_module(self, module, *args, **kwargs) -> None:
        if inspect.isclass(module):
            _check_options(module)
        super()._register_module(module, *args, **kwargs)


def _check_options(cls: type) -> None:
    init = cls.__init__  # type: ignore[misc]

    @functools.wraps(init)
    def checked_init(self, *args, **kwargs) -> None:
        # What a derived class hands on to its base is its own affair.
        is_outermost = type(self).__init__ is checked_init  # type: ignore[misc]
        options = find_options(type(self)) if is_outermost else None  # type: ignore[arg-type]
        if options is not None and (unknown := sorted(kwargs.keys() - options)):
            likes = get_close_matches(unknown[0], options, n=1)
            hint = (
                f'did you mean {likes[0]!r}?' if likes else f'it has {", ".join(sorted(options))}'
            )
            raise TypeError(f'{type(self).__name__} has no option {unknown[0]!r}: {hint}')
        init(self, *args, **kwargs)

    cls.__init__ = checked_init  # type: ignore[misc]


@functools.cache
def find_options(cls: type) -> frozenset[str] | None:
    """What a class can be built with: its own, and those of the bases that it hands options on to.

    Returns:
        Names, those that ``removed_options`` refuses too; None if a base takes whatever there is.
    """
    options = set(getattr(cls, 'removed_options', ()))
    for base in cls.__mro__:
        if '__init__' in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            named = {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
            options |= named - {'self'}
            if all(p.kind != p.VAR_KEYWORD for p in parameters):
                return frozenset(options)
    return None


def _child(parent: MMEngineRegistry, location: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='mmvidssl', locations=[location])


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
HOOKS = _child(mmengine.HOOKS, 'mmvidssl.engine.hooks')
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
