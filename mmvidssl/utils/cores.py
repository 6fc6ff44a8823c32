"""How many processor cores there are for us."""

import os


def num_cores() -> int:
    """Those that this process may use: a scheduler or a container may give it fewer."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
