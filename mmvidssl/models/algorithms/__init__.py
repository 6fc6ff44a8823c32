"""Algorithms: DINO, DoRA and MaskFeat, and a frozen encoder for evaluations."""

from .dino import DINO
from .dora import DoRA
from .frozen_encoder import FrozenEncoder
from .maskfeat import MaskFeat
from .self_distillation import SelfDistillation

__all__ = ['DINO', 'DoRA', 'FrozenEncoder', 'MaskFeat', 'SelfDistillation']
