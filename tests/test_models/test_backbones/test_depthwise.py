"""Depthwise convolution against ``F.conv3d``."""

import pytest
import torch
import torch.nn.functional as F

from mmvidssl.models.backbones.depthwise import channels_last, depthwise_conv3d
from tests.utils_model import noise


@pytest.mark.parametrize(
    'kernel, stride, padding',
    [
        ((3, 3, 3), (1, 1, 1), (1, 1, 1)),
        ((3, 3, 3), (1, 2, 2), (1, 1, 1)),
        ((3, 3, 3), (1, 3, 3), (1, 1, 1)),
        ((2, 3, 5), (2, 1, 3), (0, 1, 0)),
    ],
)
def test_values_and_gradients(kernel, stride, padding):
    clip, weight = noise(2, 4, 3, 7, 8).double(), noise(4, 1, *kernel, seed=1).double()
    results = []
    for conv in (depthwise_conv3d, lambda *args: F.conv3d(args[0], args[1], None, *args[2:], 1, 4)):
        leaves = channels_last(clip).requires_grad_(), weight.clone().requires_grad_()
        out = conv(*leaves, stride, padding)
        out.backward(noise(*out.shape, seed=2).double())
        results.append((out, *(leaf.grad for leaf in leaves)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_half_precision_is_as_near_as_it_can_be():
    """Of bfloat16 inputs: the kernel's gradient is a sum of 1,500 numbers."""
    clip, weight = noise(2, 4, 3, 16, 16).bfloat16(), noise(4, 1, 3, 3, 3, seed=1).bfloat16()
    grads = []
    for dtype in (torch.bfloat16, torch.float64):
        leaves = [tensor.to(dtype, copy=True).requires_grad_() for tensor in (clip, weight)]
        out = depthwise_conv3d(*leaves, (1, 1, 1), (1, 1, 1))
        out.backward(noise(*out.shape, seed=2).bfloat16().to(dtype))
        grads.append([leaf.grad for leaf in leaves])
    for found, expected in zip(*grads, strict=True):
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), expected, rtol=2**-8, atol=2**-8)
