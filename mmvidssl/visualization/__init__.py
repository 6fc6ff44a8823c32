"""Pictures and short videos of what a model sees and of how a run went."""

from .curves import plot_curves, read_scalars
from .drawing import mask_grid, overlay_masks, picture_table, write_image, write_video
from .hog import draw_hog

__all__ = [
    'draw_hog',
    'mask_grid',
    'overlay_masks',
    'picture_table',
    'plot_curves',
    'read_scalars',
    'write_image',
    'write_video',
]
