"""Activation checkpointing of blocks and of cheap operations."""

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
    """``function(make(*args))``, with ``make(*args)`` recomputed in the backward pass.

    ``make`` should be cheap (an activation function, a norm, a copy), and the tensors in ``args``
    such as are kept for the backward pass anyway. Results are the same to the last bit.

    Args:
        function: Takes the tensor that ``make`` returns.
        make: Deterministic: it draws no random numbers, and does not depend on autocast.
        args: Arguments of ``make``.
        enabled: False only calls both, and keeps the tensor. So does compilation: the compiler
            itself chooses what to recompute.
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
    """Address, size and type of a tensor's data: equal if two tensors share the same data."""
    return tensor.data_ptr(), tensor.numel(), tensor.dtype
