"""Numbers: pure functions and the metrics that wrap them."""

from .functional import knn_accuracy, knn_classify

__all__ = ['knn_accuracy', 'knn_classify']
