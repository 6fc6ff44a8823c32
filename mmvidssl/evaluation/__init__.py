"""Numbers: pure functions and the metrics that wrap them."""

from .functional import (
    LinearProbe,
    attention_box,
    attention_jaccard,
    corloc,
    fit_linear_probe,
    knn_accuracy,
    knn_classify,
    lost_box,
    select_linear_probe,
    tokencut_box,
)
from .metrics import DiscoveryMetric, KNNMetric, LinearProbeMetric

__all__ = [
    'DiscoveryMetric',
    'KNNMetric',
    'LinearProbe',
    'LinearProbeMetric',
    'attention_box',
    'attention_jaccard',
    'corloc',
    'fit_linear_probe',
    'knn_accuracy',
    'knn_classify',
    'lost_box',
    'select_linear_probe',
    'tokencut_box',
]
