"""Necks, between backbone and head: projection, pooling, feature pyramid."""

from .attentive_pooling import AttentivePooling
from .dino_neck import DINONeck
from .vit_feature2pyramid import ViTFeature2Pyramid

__all__ = ['AttentivePooling', 'DINONeck', 'ViTFeature2Pyramid']
