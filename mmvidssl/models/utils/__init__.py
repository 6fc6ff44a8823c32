"""Pure functions, plain records and layers shared by the models."""

from .ema_update import ema_update_
from .health import (
    distillation_health,
    health_figures,
    mask_overlap,
    prediction_health,
    tracking_health,
)
from .linear import Linear, linear
from .outputs import ClipTokens, FrameTokens, TrackResult
from .sinkhorn_knopp import sinkhorn_knopp
from .token_ops import (
    apply_masks,
    clip_to_frames,
    counted_generator,
    resize_mask,
    resize_pos_embed,
    shuffle_masks,
    stack_masks,
)

__all__ = [
    'ClipTokens',
    'FrameTokens',
    'Linear',
    'TrackResult',
    'apply_masks',
    'clip_to_frames',
    'counted_generator',
    'distillation_health',
    'ema_update_',
    'health_figures',
    'linear',
    'mask_overlap',
    'prediction_health',
    'resize_mask',
    'resize_pos_embed',
    'shuffle_masks',
    'sinkhorn_knopp',
    'stack_masks',
    'tracking_health',
]
