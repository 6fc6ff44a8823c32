"""Pillar 2: models are functions of inputs and state, and know no clock."""

from .algorithms import *
from .backbones import *
from .data_preprocessors import *
from .heads import *
from .losses import *
from .necks import *
from .target_generators import *
from .trackers import *
