"""Pictures and short videos of what a model sees and of how a run went."""

from .curves import EVALUATIONS, group_curves, plot_curves, plot_runs, read_run, read_scalars
from .drawing import mask_grid, overlay_masks, picture_table, write_image, write_video
from .hog import draw_hog

__all__ = [
    'EVALUATIONS',
    'draw_hog',
    'group_curves',
    'mask_grid',
    'overlay_masks',
    'picture_table',
    'plot_curves',
    'plot_runs',
    'read_run',
    'read_scalars',
    'write_image',
    'write_video',
]
