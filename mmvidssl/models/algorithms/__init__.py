"""The methods."""

from .dino import DINO
from .dora import DoRA
from .self_distillation import SelfDistillation

__all__ = ['DINO', 'DoRA', 'SelfDistillation']
