"""The model inside its wrapper."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap_model(model: nn.Module) -> nn.Module:
    """The model itself, without the wrapper of distributed training if it has one."""
    return model.module if is_model_wrapper(model) else model
