"""Gradients of an accumulation that a checkpoint interrupts."""

from mmengine.dist import all_reduce
from torch import Tensor, nn


def collect_gradients(model: nn.Module) -> dict[str, Tensor]:
    """Gradients by the names of their parameters, averaged over all processes.

    Every process must call it. Before the step, distributed training averages what each process has
    accumulated; averaging early and then accumulating further comes to the same.
    """
    gradients = {
        name: parameter.grad.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    for gradient in gradients.values():
        all_reduce(gradient, op='mean')
    return {name: gradient.cpu() for name, gradient in gradients.items()}


def restore_gradients(gradients: dict[str, Tensor], model: nn.Module) -> None:
    """Inverse of :func:`collect_gradients`."""
    for name, parameter in model.named_parameters():
        if name in gradients:
            parameter.grad = gradients[name].to(parameter)
