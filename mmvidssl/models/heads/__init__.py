"""Owners of the losses."""

from .dino_head import DINOHead
from .dora_head import DoRAHead

__all__ = ['DINOHead', 'DoRAHead']
