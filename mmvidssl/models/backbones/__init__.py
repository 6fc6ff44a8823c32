"""Backbones: ViTs, adapted from mmpretrain, and MViTs, adapted from mmaction2.

The MViTs are left out where mmaction2 is not installed: detection and segmentation do not need it.
"""

from importlib.util import find_spec

from .dino_vit import DINOViT
from .maskfeat_vit import MaskFeatViT

__all__ = ['DINOViT', 'MaskFeatViT']

if find_spec('mmaction') is not None:
    from .maskfeat_mvit import MaskFeatMViT
    from .mvit import ImageMViT, MViT, PooledMViT

    __all__ += ['ImageMViT', 'MViT', 'MaskFeatMViT', 'PooledMViT']
