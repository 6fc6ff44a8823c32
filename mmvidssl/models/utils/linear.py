"""Linear layers whose float32 products are computed by oneDNN on a CPU."""

from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import Linear as MMCVLinear
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry, register_flop_formula

# The operator to which TorchInductor turns linear layers. Builds without oneDNN do not have it.
_PRODUCT: Any = getattr(torch.ops.mkldnn, '_linear_pointwise', None)


class Linear(nn.Linear):
    """``nn.Linear``, but see :func:`linear`."""

    @classmethod
    def adopt(cls, model: nn.Module) -> None:
        """Turn each linear layer of a model that OpenMMLab's code built into one of these."""
        for module in model.modules():
            if type(module) in (nn.Linear, MMCVLinear):
                module.__class__ = cls

    def forward(self, x: Tensor) -> Tensor:
        """``(..., D)`` -> ``(..., D')``."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear``, whose float32 products on a CPU are computed by oneDNN rather than MKL.

    MKL leaves AVX-512 unused on AMD's CPUs, where oneDNN takes half the time.
    """
    function = _Linear.apply if _is_for_onednn(x, weight) else F.linear
    return function(x, weight, bias)


def _is_for_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        _PRODUCT is not None
        # Traces, exports and compilers know PyTorch's operator.
        and not (torch.jit.is_tracing() or torch.compiler.is_compiling())
        and x.device.type == weight.device.type == 'cpu'
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled('cpu')
        # oneDNN takes no vectors and nothing empty; another width is an error, better PyTorch's.
        and x.ndim > 1
        and x.numel() > 0
        and x.shape[-1] == weight.shape[1]
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _PRODUCT.default(x, weight, bias, 'none', [], '')

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_rows, x_rows = grad.flatten(0, -2), x.flatten(0, -2)
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = linear(grad, weight.t())
        if ctx.needs_input_grad[1]:
            # oneDNN copies its first input, if that is transposed: better the narrow one, though
            # autograd then copies the transposed result.
            if grad_rows.numel() <= x_rows.numel() + weight.numel():
                of_weight = linear(grad_rows.t(), x_rows.t())
            else:
                of_weight = linear(x_rows.t(), grad_rows.t()).t()
        if ctx.needs_input_grad[2]:
            of_bias = grad_rows.sum(0)
        return of_x, of_weight, of_bias


def _count_flops(x: tuple, weight: tuple, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return 2 * prod(x) * weight[0]


if _PRODUCT is not None and _PRODUCT not in flop_registry:
    register_flop_formula(_PRODUCT)(_count_flops)
