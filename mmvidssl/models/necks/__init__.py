"""Projections between a backbone and a head."""

from .dino_neck import DINONeck

__all__ = ['DINONeck']
