"""Registries of mmvidssl: children of MMEngine's, all in the scope ``mmvidssl``.

Each imports the module in its ``locations`` when something is first built from it, so that
importing this file is quick and pulls in none of the sibling OpenMMLab packages. Some register
nothing: where the default scope has no such registry, MMEngine warns in every run.
"""

from mmengine import registry as mmengine
from mmengine.registry import Registry


def _child(parent: Registry, location: str) -> Registry:
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
