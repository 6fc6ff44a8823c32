"""Adapters of mmpretrain's and mmaction2's backbones.

Those of mmaction2 are there where mmaction2 is: detection and segmentation do without it.
"""

from importlib.util import find_spec

from .dino_vit import DINOViT
from .maskfeat_vit import MaskFeatViT

__all__ = ['DINOViT', 'MaskFeatViT']

if find_spec('mmaction') is not None:
    from .maskfeat_mvit import MaskFeatMViT
    from .mvit import ImageMViT, MViT, PooledMViT

    __all__ += ['ImageMViT', 'MViT', 'MaskFeatMViT', 'PooledMViT']
