"""Helpers of hooks and optimizers: the model without wrappers, gradients, steps, epochs."""

import hashlib

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import IterBasedTrainLoop
from torch import Tensor, nn
from torch.optim import Optimizer


def unwrap_model(model: nn.Module) -> nn.Module:
    """The model itself, without a wrapper for several processes, or for tests by many views."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def digest_of(model: nn.Module) -> str:
    """Tells whether a model has the same weights."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


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


def check_loop_counts_epochs(runner, setting: str) -> None:
    """Refuse to wait for epochs in a loop that has none.

    Args:
        runner: The runner.
        setting: The hook and what it counts in epochs, for the message.

    Raises:
        ValueError: says which option to set.
    """
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        raise ValueError(
            f'{setting} counts epochs, but train_cfg is an IterBasedTrainLoop, which has none. '
            'Set by_epoch=False and give the number in iterations, or use '
            "type='ResumableIterTrainLoop'."
        )


def passes_of_step(runner) -> int:
    """Passes, which the runner calls iterations, that an optimizer step gathers."""
    return getattr(runner.optim_wrapper, '_accumulative_counts', 1)


def first_pass_of_step(runner) -> int:
    """The iteration, from 0, that begins the step under way."""
    return runner.iter - runner.iter % passes_of_step(runner)
