"""Pictures and short videos of what a model sees and of how a run went."""

from .curves import plot_curves, read_scalars
from .object_masks import mask_grid, overlay_masks, write_image
from .video_writer import write_video

__all__ = [
    'mask_grid',
    'overlay_masks',
    'plot_curves',
    'read_scalars',
    'write_image',
    'write_video',
]
