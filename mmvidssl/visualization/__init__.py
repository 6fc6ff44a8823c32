"""Pictures and short videos of what a model sees and of how a run went."""

from .curves import (
    EVALUATIONS,
    Curve,
    group_curves,
    plot_curves,
    plot_runs,
    read_config,
    read_run,
    read_scalars,
)
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
    'EVALUATIONS',
    'Curve',
    'assignment_sheet',
    'attention_sheet',
    'draw_hog',
    'embed_features',
    'group_curves',
    'mask_grid',
    'nearest_neighbors',
    'overlay_masks',
    'pca_colours',
    'picture_sheet',
    'picture_strip',
    'picture_table',
    'plot_curves',
    'plot_map',
    'plot_runs',
    'read_config',
    'read_run',
    'read_scalars',
    'track_columns',
    'view_columns',
    'write_image',
    'write_strip',
    'write_video',
]
