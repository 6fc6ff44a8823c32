"""Depthwise convolution of clips, with a backward pass that is quick on a CPU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Sides = tuple[int, ...]


def depthwise_conv3d(clip: Tensor, weight: Tensor, stride: Sides, padding: Sides) -> Tensor:
    """``F.conv3d`` of a clip ``(B, C, T, H, W)`` with one kernel a channel, ``(C, 1, t, h, w)``.

    On a CPU its gradients cannot be differentiated again.
    """
    if clip.is_cpu and torch.is_grad_enabled():  # without: nothing to gain, and traces can be saved
        return _DepthwiseConv.apply(clip, weight, stride, padding)
    return F.conv3d(clip, weight, None, stride, padding, groups=len(weight))


class _DepthwiseConv(torch.autograd.Function):
    """The same on a CPU, where PyTorch's backward pass takes 30 times its forward pass's time.

    The gradient of the clip is a forward convolution too, by the mirrored kernel, of the output's
    gradient spread out by the stride. That of the kernel is computed in float32 at least, as half
    precision is slower.
    """

    @staticmethod
    def forward(ctx: Any, clip: Tensor, weight: Tensor, stride: Sides, padding: Sides) -> Tensor:
        ctx.save_for_backward(clip, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv3d(clip, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        clip, weight = ctx.saved_tensors
        kernel, groups = weight.shape[2:], len(weight)
        t, h, w = (
            side + 2 * pad - size + 1
            for side, pad, size in zip(clip.shape[2:], ctx.padding, kernel, strict=True)
        )
        spread = grad
        if max(ctx.stride) > 1:
            spread = grad.new_zeros(len(clip), t, h, w, groups).movedim(-1, 1)
            step_t, step_h, step_w = ctx.stride
            spread[..., ::step_t, ::step_h, ::step_w] = grad
        mirrored = weight.flip(2, 3, 4).to(grad.dtype)
        rest = [size - 1 - pad for size, pad in zip(kernel, ctx.padding, strict=True)]
        of_clip = F.conv3d(channels_last(spread), mirrored, padding=rest, groups=groups)
        exact = torch.promote_types(grad.dtype, torch.float32)
        of_weight = torch.nn.grad.conv3d_weight(
            clip.to(exact), weight.shape, grad.to(exact), ctx.stride, ctx.padding, groups=groups
        )
        return of_clip, of_weight, None, None


def channels_last(clip: Tensor) -> Tensor:
    """Clip ``(B, C, T, H, W)`` in the memory format ``channels_last_3d``."""
    return clip.contiguous(memory_format=torch.channels_last_3d)
