"""Pictures and short videos of what a model sees and of how a run went."""

from .curves import plot_curves, read_scalars
from .drawing import (
    mask_grid,
    overlay_masks,
    picture_sheet,
    picture_strip,
    picture_table,
    write_image,
    write_strip,
    write_video,
)
from .features import embed_features, nearest_neighbors, pca_colours, plot_map
from .hog import draw_hog
from .objects import assignment_sheet, attention_sheet, track_columns, view_columns

__all__ = [
    'assignment_sheet',
    'attention_sheet',
    'draw_hog',
    'embed_features',
    'mask_grid',
    'nearest_neighbors',
    'overlay_masks',
    'pca_colours',
    'picture_sheet',
    'picture_strip',
    'picture_table',
    'plot_curves',
    'plot_map',
    'read_scalars',
    'track_columns',
    'view_columns',
    'write_image',
    'write_strip',
    'write_video',
]
