"""Numbers: pure functions and the metrics that wrap them."""

from .functional import (
    LinearProbe,
    fit_linear_probe,
    knn_accuracy,
    knn_classify,
    select_linear_probe,
)
from .metrics import KNNMetric, LinearProbeMetric

__all__ = [
    'KNNMetric',
    'LinearProbe',
    'LinearProbeMetric',
    'fit_linear_probe',
    'knn_accuracy',
    'knn_classify',
    'select_linear_probe',
]
