"""Pillar 3: the engine owns time."""

from .checkpoint import *  # noqa: F401,F403
from .hooks import *  # noqa: F401,F403
from .loops import *  # noqa: F401,F403
from .optimizers import *  # noqa: F401,F403
from .schedulers import *  # noqa: F401,F403
