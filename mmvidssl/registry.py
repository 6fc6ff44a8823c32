"""Registries of mmvidssl: children of MMEngine's, all in the scope ``mmvidssl``.

Each imports the modules in its ``locations`` when something is first built from it, so that
importing this file is quick and pulls in none of the sibling OpenMMLab packages.
"""

import functools
import inspect
from difflib import get_close_matches

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS as MMENGINE_OPTIMIZERS
from mmengine.registry import PARAM_SCHEDULERS as MMENGINE_PARAM_SCHEDULERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
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
        is_outermost = type(self).__init__ is checked_init
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


# Pillar 1: from disk to a batch
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='mmvidssl', locations=['mmvidssl.datasets']
)
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope='mmvidssl',
    locations=['mmvidssl.datasets.samplers'],
)
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='mmvidssl',
    locations=['mmvidssl.datasets.transforms'],
)
# Functions that batch samples; a data loader's config names them 'mmvidssl.<function>'
FUNCTIONS = Registry(
    'function', parent=MMENGINE_FUNCTIONS, scope='mmvidssl', locations=['mmvidssl.datasets']
)
VIDEO_READERS = Registry('video reader', scope='mmvidssl', locations=['mmvidssl.datasets.readers'])

# Pillar 2: functions of inputs and state
MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mmvidssl', locations=['mmvidssl.models'])

# Pillar 3: time
HOOKS = Registry(
    'hook', parent=MMENGINE_HOOKS, scope='mmvidssl', locations=['mmvidssl.engine.hooks']
)
LOOPS = Registry('loop', parent=MMENGINE_LOOPS, scope='mmvidssl', locations=['mmvidssl.engine'])
OPTIMIZERS = Registry(
    'optimizer',
    parent=MMENGINE_OPTIMIZERS,
    scope='mmvidssl',
    locations=['mmvidssl.engine.optimizers'],
)
OPTIM_WRAPPERS = Registry(
    'optim wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope='mmvidssl',
    locations=['mmvidssl.engine.optimizers'],
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optim wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='mmvidssl',
    locations=['mmvidssl.engine.optimizers'],
)
PARAM_SCHEDULERS = Registry(
    'parameter scheduler',
    parent=MMENGINE_PARAM_SCHEDULERS,
    scope='mmvidssl',
    locations=['mmvidssl.engine.schedulers'],
)

# Pillar 4: numbers
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope='mmvidssl', locations=['mmvidssl.evaluation']
)

# Pillar 5: pictures
VISUALIZERS = Registry(
    'visualizer',
    parent=MMENGINE_VISUALIZERS,
    scope='mmvidssl',
    locations=['mmvidssl.visualization'],
)
VISBACKENDS = Registry(
    'vis_backend',
    parent=MMENGINE_VISBACKENDS,
    scope='mmvidssl',
    locations=['mmvidssl.visualization'],
)
