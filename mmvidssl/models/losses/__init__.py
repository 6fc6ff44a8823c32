"""Stateless losses."""

from .code_cross_entropy_loss import CodeCrossEntropyLoss
from .dino_loss import DINOLoss
from .normalized_regression_loss import NormalizedRegressionLoss
from .regression_loss import RegressionLoss
from .soft_cross_entropy_loss import SoftCrossEntropyLoss

__all__ = [
    'CodeCrossEntropyLoss',
    'DINOLoss',
    'NormalizedRegressionLoss',
    'RegressionLoss',
    'SoftCrossEntropyLoss',
]
