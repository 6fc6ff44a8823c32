"""Metrics for MMEngine's evaluator, which wrap the pure functions."""

from .discovery_metric import DiscoveryMetric
from .label_propagation_metrics import DAVISMetric, TrackingMetric
from .probe_metrics import KNNMetric, LinearProbeMetric

__all__ = [
    'DAVISMetric',
    'DiscoveryMetric',
    'KNNMetric',
    'LinearProbeMetric',
    'TrackingMetric',
]
