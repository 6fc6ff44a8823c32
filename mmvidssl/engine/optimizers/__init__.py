"""Optimizer wrappers and constructors."""

from .decay_groups_constructor import DecayGroupsConstructor
from .layer_decay_constructor import LayerDecayConstructor
from .mixed_precision import AutocastOptimWrapper, fit_to_device, use_mixed_precision
from .per_param_clip_optim_wrapper import (
    PerParamClipAmpOptimWrapper,
    PerParamClipAutocastOptimWrapper,
    PerParamClipOptimWrapper,
    clip_grad_norm_per_param_,
)

__all__ = [
    'AutocastOptimWrapper',
    'DecayGroupsConstructor',
    'LayerDecayConstructor',
    'PerParamClipAmpOptimWrapper',
    'PerParamClipAutocastOptimWrapper',
    'PerParamClipOptimWrapper',
    'clip_grad_norm_per_param_',
    'fit_to_device',
    'use_mixed_precision',
]
