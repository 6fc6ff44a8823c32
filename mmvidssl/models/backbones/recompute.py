"""Activation checkpointing of blocks."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)


def check_with_cp(with_cp: bool | str) -> None:
    """Check a backbone's option ``with_cp``.

    Raises:
        ValueError: if it is neither a bool nor ``'cheap'``.
    """
    if with_cp not in (False, True, 'cheap'):
        raise ValueError(f"with_cp must be False, True or 'cheap', got {with_cp!r}")


def run_block(block: Callable[..., Any], with_cp: bool | str, *args: Any) -> Any:
    """A block's output, with as much kept for the backward pass as ``with_cp`` says.

    False keeps all; ``'cheap'`` keeps the block's input and the results of matrix products,
    attention and convolution, and computes norms, activations, sums and copies again; True keeps
    the input alone. Results and gradients are the same (under autocast, but for rounding). After
    ``'cheap'`` one backward pass is possible: ``retain_graph`` does not help.
    """
    if not with_cp or not torch.is_grad_enabled():
        return block(*args)
    if with_cp != 'cheap':
        return checkpoint(block, *args, use_reentrant=False)
    keep = partial(create_selective_checkpoint_contexts, _keep_costly)
    # The backward pass must meet the same operators, and by then autocast's cache of weights, which
    # a block that is passed twice would use, is gone.
    was_cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        return checkpoint(block, *args, use_reentrant=False, context_fn=keep)
    finally:
        torch.set_autocast_cache_enabled(was_cached)


def _keep_costly(context: Any, operator: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    name = operator.name().partition('::')[2].partition('.')[0]
    if name.startswith('_scaled_dot_product'):
        # With dropout, all that is random after it would draw other numbers if it were left out.
        is_kept = not any(isinstance(option, float) and option > 0 for option in args)
    elif name in ('addmm', '_linear_pointwise'):
        # A product that narrows (the last of an MLP) is only added to something, so that the
        # backward pass stops before it would compute it again.
        width, out_width = args[2].shape if name == 'addmm' else args[1].shape[::-1]
        is_kept = width <= out_width
    else:
        is_kept = name in ('mm', 'bmm', 'baddbmm', 'convolution')
    return CheckpointPolicy.MUST_SAVE if is_kept else CheckpointPolicy.PREFER_RECOMPUTE
