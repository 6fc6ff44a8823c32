"""All that depends on time in a run: loops, hooks, optimizers, schedules, checkpoints."""

from .checkpoint import *  # noqa: F401,F403
from .hooks import *  # noqa: F401,F403
from .loops import *  # noqa: F401,F403
from .optimizers import *  # noqa: F401,F403
from .schedulers import *  # noqa: F401,F403
