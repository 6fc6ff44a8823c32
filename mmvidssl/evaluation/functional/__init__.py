"""Pure evaluation functions: arrays in, numbers out."""

from .knn import knn_accuracy, knn_classify
from .linear_probe import LinearProbe, fit_linear_probe, select_linear_probe

__all__ = [
    'LinearProbe',
    'fit_linear_probe',
    'knn_accuracy',
    'knn_classify',
    'select_linear_probe',
]
