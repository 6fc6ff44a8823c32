"""DoRA and MaskFeat on one video in minutes: what ``tools/quickstart.sh`` runs."""

from .footage import find_sample_video
from .run import run_quickstart
from .short_run import QuietRunner, set_max_iters

__all__ = ['QuietRunner', 'find_sample_video', 'run_quickstart', 'set_max_iters']
