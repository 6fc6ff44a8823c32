"""Pure functions and plain records shared by the models."""

from .ema_update import ema_update_
from .outputs import FrameTokens, TrackResult
from .sinkhorn_knopp import sinkhorn_knopp
from .token_ops import apply_masks, clip_to_frames, resize_pos_embed

__all__ = [
    'FrameTokens',
    'TrackResult',
    'apply_masks',
    'clip_to_frames',
    'ema_update_',
    'resize_pos_embed',
    'sinkhorn_knopp',
]
