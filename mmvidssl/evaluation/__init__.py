"""Evaluation: pure functions, and the metrics that wrap them."""

from . import functional, metrics
from .functional import *  # noqa: F403
from .metrics import *  # noqa: F403

__all__ = [*functional.__all__, *metrics.__all__]
