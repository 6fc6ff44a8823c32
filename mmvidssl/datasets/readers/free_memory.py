"""Giving memory back to the system."""

import ctypes
import sys


def free_memory() -> None:
    """Give back what was freed but is kept by the allocator (glibc's), in a millisecond or so.

    Decoders of several videos, opened and closed in turn, leave it in pieces that grow over
    thousands of clips, where one decoder alone would use its own again.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None
    if trim is not None:
        trim(0)
