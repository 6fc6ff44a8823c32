"""DINO's gradient clipping: each parameter's gradient by its own norm."""

from collections.abc import Sequence

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor

from mmvidssl.registry import OPTIM_WRAPPERS

from .mixed_precision import AutocastOptimWrapper


def clip_grad_norm_per_param_(parameters: Sequence[Tensor], max_norm: float) -> Tensor:
    """Scale each gradient that is longer than ``max_norm`` down to it, in place.

    Args:
        parameters: Parameters, all with a gradient.
        max_norm: Largest Euclidean norm of each parameter's own gradient.

    Returns:
        The norm of all gradients together before clipping, a scalar.

    Source: DINO's released code. PyTorch's ``clip_grad_norm_`` scales all gradients by one factor.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])
    factors = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    for gradient, factor in zip(gradients, factors, strict=True):
        gradient.mul_(factor)
    return torch.linalg.vector_norm(norms)


class _PerParamClip(OptimWrapper):
    """Mixin of an ``OptimWrapper`` that clips by :func:`clip_grad_norm_per_param_`."""

    def __init__(self, *args, clip_grad: dict | None = None, **kwargs) -> None:
        if clip_grad is not None:
            if set(clip_grad) != {'max_norm'} or not clip_grad['max_norm'] > 0:
                raise ValueError(
                    f'{type(self).__name__} takes clip_grad=dict(max_norm=<a positive number>), '
                    "the bound of each parameter's own gradient norm, or None; got "
                    f'{clip_grad}'
                )
            clip_grad = dict(clip_grad)  # MMEngine takes entries out of it
        super().__init__(*args, clip_grad=clip_grad, **kwargs)
        self.clip_func = clip_grad_norm_per_param_
        self.grad_name = 'grad_norm'


@OPTIM_WRAPPERS.register_module()
class PerParamClipOptimWrapper(_PerParamClip):
    """MMEngine's ``OptimWrapper`` that clips each parameter's gradient by its own norm.

    The log carries ``grad_norm``, the norm of all gradients together before clipping. Under
    gradient accumulation the sum is clipped, once, before the step.

    Args:
        clip_grad: ``dict(max_norm=...)``, 3.0 for DINO; None clips nothing.
        **kwargs: As in MMEngine's ``OptimWrapper``.
    """


@OPTIM_WRAPPERS.register_module()
class PerParamClipAmpOptimWrapper(_PerParamClip, AmpOptimWrapper):
    """:class:`PerParamClipOptimWrapper` in MMEngine's mixed precision; unscales, then clips."""


@OPTIM_WRAPPERS.register_module()
class PerParamClipAutocastOptimWrapper(_PerParamClip, AutocastOptimWrapper):
    """:class:`PerParamClipOptimWrapper` with bfloat16 autocast, on a CPU too."""
