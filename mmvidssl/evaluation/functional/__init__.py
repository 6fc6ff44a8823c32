"""Pure evaluation functions: arrays in, numbers out."""

from .boxes import box_overlap, success_statistics
from .davis import contour_accuracy, davis_scores, davis_statistics, region_similarity
from .discovery import attention_box, attention_jaccard, corloc, lost_box, tokencut_box
from .knn import knn_accuracy, knn_classify
from .label_propagation import propagate_labels
from .linear_probe import LinearProbe, fit_linear_probe, select_linear_probe

__all__ = [
    'LinearProbe',
    'attention_box',
    'attention_jaccard',
    'box_overlap',
    'contour_accuracy',
    'corloc',
    'davis_scores',
    'davis_statistics',
    'fit_linear_probe',
    'knn_accuracy',
    'knn_classify',
    'lost_box',
    'propagate_labels',
    'region_similarity',
    'select_linear_probe',
    'success_statistics',
    'tokencut_box',
]
