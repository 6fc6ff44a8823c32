"""Heads, which compute the losses."""

from .dino_head import DINOHead
from .dora_head import DoRAHead
from .linear_depth_head import LinearDepthHead
from .maskfeat_head import MaskFeatHead

__all__ = ['DINOHead', 'DoRAHead', 'LinearDepthHead', 'MaskFeatHead']
