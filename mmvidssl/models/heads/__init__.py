"""Owners of the losses."""

from .dino_head import DINOHead
from .dora_head import DoRAHead
from .maskfeat_head import MaskFeatHead

__all__ = ['DINOHead', 'DoRAHead', 'MaskFeatHead']
