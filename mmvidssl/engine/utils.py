"""Helpers of hooks and optimizers: the model without wrappers, gradients, steps, epochs."""

import hashlib

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import IterBasedTrainLoop
from torch import Tensor, nn
from torch.optim import Optimizer


def unwrap_model(model: nn.Module) -> nn.Module:
    """The model without its wrappers for distributed training and test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def digest_of(model: nn.Module) -> str:
    """SHA-256 digest (hex) of a model's weights and buffers."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@torch.no_grad()
def gradient_norm(optimizer: Optimizer) -> Tensor:
    """Euclidean norm of all gradients that an optimizer is about to use, a float32 scalar.

    It is not finite if and only if a gradient is not finite or the squares overflow.
    """
    groups = optimizer.param_groups
    grads = [p.grad for group in groups for p in group['params'] if p.grad is not None]
    if not grads:
        return torch.zeros(())
    return torch.stack([norm.float() for norm in torch._foreach_norm(grads)]).norm()


def is_step_skipped(optimizer: Optimizer) -> bool:
    """Whether a ``GradScaler`` skips the current optimizer step; to be called in a step hook.

    For infinite gradients it does not call an optimizer's step at all, except for fused optimizers,
    which it tells by ``found_inf`` to do nothing.
    """
    found_inf = getattr(optimizer, 'found_inf', None)
    return found_inf is not None and bool(found_inf.item())


def check_loop_counts_epochs(runner, setting: str) -> None:
    """Check that the training loop counts epochs, for a setting that is given in epochs.

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
    """Forward passes (the runner's iterations) that one optimizer step accumulates."""
    return getattr(runner.optim_wrapper, '_accumulative_counts', 1)


def first_pass_of_step(runner) -> int:
    """Iteration, counted from 0, of the first forward pass of the current optimizer step."""
    return runner.iter - runner.iter % passes_of_step(runner)
