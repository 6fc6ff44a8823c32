"""Depthwise convolution of clips, with a backward pass that is quick on a CPU."""

from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Sides = tuple[int, ...]


def depthwise_conv3d(clip: Tensor, weight: Tensor, stride: Sides, padding: Sides) -> Tensor:
    """``F.conv3d`` of a clip ``(B, C, T, H, W)`` with one kernel a channel, ``(C, 1, t, h, w)``.

    On a CPU it is computed in float32 at least, and its gradients cannot be differentiated again.
    """
    exact = torch.promote_types(clip.dtype, torch.float32) if clip.is_cpu else clip.dtype
    # Without gradients there is nothing to gain, and a trace with a Function cannot be saved.
    is_plain = not (clip.is_cpu and torch.is_grad_enabled()) or torch.jit.is_tracing()
    convolve = _convolve if is_plain else _DepthwiseConv.apply
    # The meta device (used to count parameters and operations) has no autocast.
    with nullcontext() if clip.is_meta else torch.autocast(clip.device.type, enabled=False):
        return convolve(clip.to(exact), weight.to(exact), stride, padding)


def _convolve(clip: Tensor, weight: Tensor, stride: Sides, padding: Sides) -> Tensor:
    return F.conv3d(clip, weight, None, stride, padding, groups=len(weight))


class _DepthwiseConv(torch.autograd.Function):
    """The same on a CPU, where PyTorch's backward pass takes 30 times its forward pass's time.

    The gradient of the clip is a forward convolution too, by the mirrored kernel, of the output's
    gradient spread out by the stride.
    """

    @staticmethod
    def forward(ctx: Any, clip: Tensor, weight: Tensor, stride: Sides, padding: Sides) -> Tensor:
        ctx.save_for_backward(clip, weight)
        ctx.stride, ctx.padding = stride, padding
        return _convolve(clip, weight, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        clip, weight = ctx.saved_tensors
        of_clip = of_weight = None
        if ctx.needs_input_grad[0]:
            kernel = weight.shape[2:]
            rest = tuple(size - 1 - pad for size, pad in zip(kernel, ctx.padding, strict=True))
            spread = grad
            if max(ctx.stride) > 1:
                sides = zip(clip.shape[2:], ctx.padding, kernel, strict=True)
                t, h, w = (side + 2 * pad - size + 1 for side, pad, size in sides)
                spread = grad.new_zeros(len(clip), t, h, w, len(weight)).movedim(-1, 1)
                step_t, step_h, step_w = ctx.stride
                spread[..., ::step_t, ::step_h, ::step_w] = grad
            of_clip = _convolve(channels_last(spread), weight.flip(2, 3, 4), (1, 1, 1), rest)
        if ctx.needs_input_grad[1]:
            of_weight = torch.nn.grad.conv3d_weight(
                clip, weight.shape, grad, ctx.stride, ctx.padding, groups=len(weight)
            )
        return of_clip, of_weight, None, None


def channels_last(clip: Tensor) -> Tensor:
    """Clip ``(B, C, T, H, W)`` in the memory format ``channels_last_3d``."""
    return clip.contiguous(memory_format=torch.channels_last_3d)
