"""Readers that cannot hang or crash the process that uses them."""

from .client import DEFAULT_TIMEOUT, GuardedReaders, Readers, build_readers

__all__ = ['DEFAULT_TIMEOUT', 'GuardedReaders', 'Readers', 'build_readers']
