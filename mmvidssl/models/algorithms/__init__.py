"""The methods."""

from .dino import DINO
from .dora import DoRA
from .maskfeat import MaskFeat
from .self_distillation import SelfDistillation

__all__ = ['DINO', 'DoRA', 'MaskFeat', 'SelfDistillation']
