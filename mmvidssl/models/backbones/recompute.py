"""Recompute in the backward pass what is not kept for it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint


def run_block(block: nn.Module, tokens: Tensor, with_cp: bool) -> Tensor:
    """A block's output; with ``with_cp``, only its input is kept for the backward pass."""
    if with_cp and torch.is_grad_enabled():
        return checkpoint(block, tokens, use_reentrant=False)
    return block(tokens)


def recompute(
    function: Callable[[Tensor], Any],
    make: Callable[..., Tensor],
    *args: Any,
    enabled: bool = True,
) -> Any:
    """``function(make(*args))``, where ``make(*args)`` is recomputed in the backward pass.

    So ``make`` should be cheap (an activation function, a norm, a copy), and tensors in ``args``
    should be such as are kept anyway. The results are the same to the last bit.

    Args:
        function: Maps the tensor that is made.
        make: Makes it, always the same; without random numbers, and whatever autocast says.
        args: What it is made from.
        enabled: Whether to do anything but call. While compiling nothing is done either: the
            compiler itself chooses what to recompute.
    """
    made = make(*args)
    if not enabled or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return function(made)
    key = _key(made)

    def pack(saved: Tensor) -> Any:
        return saved.shape if saved.is_contiguous() and _key(saved) == key else saved

    def unpack(packed: Any) -> Tensor:
        if not isinstance(packed, torch.Size):
            return packed
        return make(*args).to(key[2]).reshape(packed)

    with saved_tensors_hooks(pack, unpack):
        return function(made)


def _key(tensor: Tensor) -> tuple[int, int, torch.dtype]:
    """Tells live tensors that hold the same values from all others."""
    return tensor.data_ptr(), tensor.numel(), tensor.dtype
