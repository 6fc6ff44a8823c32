"""Stateless losses."""

from .dino_loss import DINOLoss
from .masked_token_losses import (
    CodeCrossEntropyLoss,
    NormalizedRegressionLoss,
    RegressionLoss,
    SoftCrossEntropyLoss,
)

__all__ = [
    'CodeCrossEntropyLoss',
    'DINOLoss',
    'NormalizedRegressionLoss',
    'RegressionLoss',
    'SoftCrossEntropyLoss',
]
