"""Numbers: pure functions and the metrics that wrap them."""

from .functional import *  # noqa: F403
from .functional import __all__ as __all__
