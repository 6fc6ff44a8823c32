"""Metrics of MMEngine's evaluator, around the pure functions."""

from .discovery_metric import DiscoveryMetric
from .probe_metrics import KNNMetric, LinearProbeMetric

__all__ = ['DiscoveryMetric', 'KNNMetric', 'LinearProbeMetric']
