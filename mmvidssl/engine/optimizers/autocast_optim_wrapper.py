"""Mixed precision without loss scaling."""

from contextlib import ExitStack, contextmanager, nullcontext

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmvidssl.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Forward passes under autocast in bfloat16, on a CPU too.

    bfloat16 has float32's range and needs no loss scaling. MMEngine's ``AmpOptimWrapper`` refuses
    to work without an accelerator; with one, use that.

    Args:
        **kwargs: As in MMEngine's ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Enter autocast for the forward pass."""
        device_type = next(model.parameters()).device.type
        with ExitStack() as stack:
            stack.enter_context(super().optim_context(model))
            stack.enter_context(torch.autocast(device_type, torch.bfloat16))
            if device_type == 'cpu':
                # The fused kernel's backward pass in bfloat16 is about three times slower than
                # plain products on a CPU (torch 2.14).
                stack.enter_context(_plain_attention())
            yield

    def backward(self, loss: Tensor, **kwargs) -> None:
        """What is recomputed for it (``with_cp``) needs the attention of the forward pass."""
        with _plain_attention() if loss.device.type == 'cpu' else nullcontext():
            super().backward(loss, **kwargs)


def _plain_attention():
    """Scaled dot products as matrix products and a softmax; torch 2.1 and 2.2 lack the switch."""
    attention = getattr(torch.nn, 'attention', None)
    if attention is None:
        return ExitStack()
    return attention.sdpa_kernel(attention.SDPBackend.MATH)
