"""Pure evaluation functions: arrays in, numbers out."""

from .discovery import (
    attention_box,
    attention_jaccard,
    corloc,
    lost_box,
    tokencut_box,
)
from .knn import knn_accuracy, knn_classify
from .linear_probe import LinearProbe, fit_linear_probe, select_linear_probe

__all__ = [
    'LinearProbe',
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
