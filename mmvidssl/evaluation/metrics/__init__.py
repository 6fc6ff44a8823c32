"""Metrics of MMEngine's evaluator, around the pure functions."""

from .probe_metrics import KNNMetric, LinearProbeMetric

__all__ = ['KNNMetric', 'LinearProbeMetric']
