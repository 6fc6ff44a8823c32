"""Which samples, in which order."""

from .clip_sampler import ClipSampler

__all__ = ['ClipSampler']
