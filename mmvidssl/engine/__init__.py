"""Pillar 3: the engine owns time."""

from .checkpoint import *
from .hooks import *
from .loops import *
from .optimizers import *
from .schedulers import *
