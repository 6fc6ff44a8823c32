"""Projections between a backbone and a head."""

from .dino_neck import DINONeck
from .vit_feature2pyramid import ViTFeature2Pyramid

__all__ = ['DINONeck', 'ViTFeature2Pyramid']
