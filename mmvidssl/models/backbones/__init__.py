"""Adapters of mmpretrain's and mmaction2's backbones."""

from .dino_vit import DINOViT

__all__ = ['DINOViT']
