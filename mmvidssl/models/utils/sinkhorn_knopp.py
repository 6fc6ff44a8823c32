"""Entropic optimal transport between tokens and objects."""

import math

import torch
from torch import Tensor


@torch.no_grad()
def sinkhorn_knopp(scores: Tensor, epsilon: float = 0.05, num_iters: int = 30) -> Tensor:
    """Sinkhorn-Knopp: assign tokens softly to objects, with the same total for every object.

    The transport plan maximises ``<plan, scores>`` plus ``epsilon`` times its entropy, with the
    tokens' marginal at ``1 / N`` and the objects' at ``1 / O``; it is returned times ``N``, so that
    each *token* sums to one. Computed with logarithms in float32, in which no score overflows.

    Args:
        scores: ``(..., N, O)``, higher is a better match (the negative cost).
        epsilon: Strength of the entropy, > 0. Small values give a hard assignment.
        num_iters: Number of iterations, >= 1; each normalises the objects, then the tokens.

    Returns:
        ``(..., N, O)`` float32, non-negative, rows sum to one; columns sum to ``N / O`` once
        converged.

    Raises:
        ValueError: if ``epsilon`` or ``num_iters`` is not positive.

    Source: DoRA, section 3.2 (``K = exp(-C / epsilon)``). Differs from the released code: nothing
    but the logarithms.
    """
    if epsilon <= 0 or num_iters < 1:
        raise ValueError(
            f'sinkhorn_knopp needs epsilon > 0 and num_iters >= 1, got epsilon={epsilon} and '
            f'num_iters={num_iters}'
        )
    num_tokens, num_objects = scores.shape[-2:]
    with torch.autocast(scores.device.type, enabled=False):
        log_plan = scores.float() / epsilon
        for _ in range(num_iters):
            log_plan = log_plan - log_plan.logsumexp(-2, keepdim=True) - math.log(num_objects)
            log_plan = log_plan - log_plan.logsumexp(-1, keepdim=True) - math.log(num_tokens)
        return (log_plan + math.log(num_tokens)).exp()
