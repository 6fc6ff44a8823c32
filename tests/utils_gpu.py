"""A pretended GPU: nothing is computed on it, but no tensor of another device is taken either."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from torch import nn
from torch._subclasses import fake_impls
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode


def _can_pretend() -> bool:
    """Some builds of PyTorch ask the driver about a pretended tensor that is sliced."""
    try:
        with FakeTensorMode():
            return len(torch.empty(2, device='cuda')[::2]) == 1
    except RuntimeError:
        return False


NEEDS_PRETENDED_GPU = pytest.mark.skipif(
    not _can_pretend(), reason='this PyTorch needs a GPU to pretend one'
)


@contextmanager
def pretended_gpu(model: nn.Module, num_found: int) -> Iterator[None]:
    """A model is moved there and runs in float16, forward only.

    Reading a number back (``item()``) raises ``DataDependentOutputException``.

    Args:
        model: One of MMEngine's.
        num_found: Number of True values in any mask that selects, which nobody computes.
    """
    mode, device = FakeTensorMode(), torch.device('cuda')

    def move(tensor: torch.Tensor) -> FakeTensor:
        return FakeTensor(mode, tensor.detach().to('meta'), device)

    for module in model.modules():
        for name, value in module._parameters.items():
            if value is not None:
                module._parameters[name] = nn.Parameter(move(value), value.requires_grad)
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = move(value)
    model._set_device(device)

    def nonzero(mode, func, mask):
        return mask.new_zeros(num_found, mask.ndim, dtype=torch.long)

    def bincount(mode, func, codes, weights=None, minlength=0):
        return codes.new_zeros(minlength)

    found = {torch.ops.aten.nonzero.default: nonzero, torch.ops.aten.bincount.default: bincount}
    was = torch.is_autocast_enabled('cuda')
    with mode, mock.patch.dict(fake_impls.op_implementations_dict, found):
        torch.set_autocast_enabled('cuda', True)  # torch.autocast would look for a real one
        try:
            yield
        finally:
            torch.set_autocast_enabled('cuda', was)
            torch.clear_autocast_cache()
