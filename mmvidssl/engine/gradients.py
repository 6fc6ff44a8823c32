"""What hooks ask about gradients."""

import torch
from torch import Tensor
from torch.optim import Optimizer


@torch.no_grad()
def gradient_norm(optimizer: Optimizer) -> Tensor:
    """Euclidean norm of all gradients that an optimizer is about to use, a float32 scalar.

    Not finite exactly if a gradient is not finite, or their squares overflow.
    """
    groups = optimizer.param_groups
    grads = [p.grad for group in groups for p in group['params'] if p.grad is not None]
    if not grads:
        return torch.zeros(())
    return torch.stack([norm.float() for norm in torch._foreach_norm(grads)]).norm()


def is_step_skipped(optimizer: Optimizer) -> bool:
    """Whether the step that an optimizer is called for does nothing; asked in one of its hooks.

    A ``GradScaler`` does not call an optimizer for a step with infinite gradients, except for fused
    ones, which it tells by ``found_inf`` to do nothing.
    """
    found_inf = getattr(optimizer, 'found_inf', None)
    return found_inf is not None and bool(found_inf.item())
