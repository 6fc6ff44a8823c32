"""From a teacher's tokens to object masks."""

from .multi_object_tracker import MultiObjectTracker

__all__ = ['MultiObjectTracker']
