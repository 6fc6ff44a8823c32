"""Pictures and short videos of what a model sees and of how a run went."""

from .curves import plot_curves, read_scalars
from .drawing import mask_grid, overlay_masks, write_image, write_video

__all__ = [
    'mask_grid',
    'overlay_masks',
    'plot_curves',
    'read_scalars',
    'write_image',
    'write_video',
]
