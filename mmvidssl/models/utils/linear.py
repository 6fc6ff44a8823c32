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
    """``nn.Linear``, computed by :func:`linear`.

    What goes by exact classes, as PyTorch's ``quantize_dynamic`` does, must be told of this one.
    """

    @classmethod
    def adopt(cls, model: nn.Module) -> None:
        """Turn each linear layer of a model that OpenMMLab's code built into one of these."""
        for module in model.modules():
            if type(module) in (nn.Linear, MMCVLinear):
                module.__class__ = cls

    def forward(self, input: Tensor) -> Tensor:
        """``(..., D)`` -> ``(..., D')``."""
        return linear(input, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear``, whose float32 products on a CPU are computed by oneDNN rather than MKL.

    MKL leaves AVX-512 unused on AMD's CPUs, where oneDNN takes about half the time for a backbone's
    layers. ``torch.backends.mkldnn.flags(enabled=False)`` switches it off, which forward-mode
    derivatives (``torch.autograd.forward_ad``) need.
    """
    function = _Linear.apply if _is_for_onednn(x, weight, bias) else F.linear
    return function(x, weight, bias)


def _is_for_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    tensors = [x, weight] if bias is None else [x, weight, bias]
    return (
        _PRODUCT is not None
        and torch.backends.mkldnn.enabled
        # Traces, exports, compilers and torch.func know PyTorch's operator.
        and not (torch.jit.is_tracing() or torch.compiler.is_compiling())
        and not torch._C._are_functorch_transforms_active()
        and all(type(one) in (Tensor, nn.Parameter) for one in tensors)
        and all(one.device.type == 'cpu' and one.dtype == torch.float32 for one in tensors)
        and not torch.is_autocast_enabled('cpu')
        # The operator reads a bias as if it were contiguous, takes no vectors and nothing empty,
        # and PyTorch's errors about shapes are better.
        and x.ndim > 1
        and x.numel() > 0
        and x.shape[-1] == weight.shape[1]
        and (bias is None or bias.shape == weight.shape[:1] and bias.is_contiguous())
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        needs_x, needs_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if needs_weight else None, weight if needs_x else None)
        ctx.weight_size = weight.numel()
        return _PRODUCT.default(x, weight, bias, 'none', [], '')

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_rows = grad.reshape(grad.shape[:-1].numel(), grad.shape[-1])
        of_x = of_weight = of_bias = None
        if weight is not None:
            of_x = linear(grad, weight.t())
        if x is not None:
            x_rows = x.reshape(x.shape[:-1].numel(), x.shape[-1])
            # oneDNN copies its first input, if that is transposed: better the narrow one, though
            # autograd then copies the transposed result.
            if grad_rows.numel() <= x_rows.numel() + ctx.weight_size:
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
