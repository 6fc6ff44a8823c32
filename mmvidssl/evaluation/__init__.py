"""Numbers: pure functions and the metrics that wrap them."""

from .functional import (
    LinearProbe,
    fit_linear_probe,
    knn_accuracy,
    knn_classify,
    select_linear_probe,
)

__all__ = [
    'LinearProbe',
    'fit_linear_probe',
    'knn_accuracy',
    'knn_classify',
    'select_linear_probe',
]
