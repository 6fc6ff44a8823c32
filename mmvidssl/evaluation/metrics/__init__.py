"""Metrics of MMEngine's evaluator, around the pure functions."""

from .discovery_metric import DiscoveryMetric

__all__ = ['DiscoveryMetric']
