"""Parameter groups with and without weight decay."""

from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIMIZERS
from torch import nn

from mmvidssl.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

from ..utils import unwrap_model


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DecayGroupsConstructor(DefaultOptimWrapperConstructor):
    """Two parameter groups: matrices with weight decay; biases, norms and other vectors without.

    Parameters without gradient (the teacher) are left out. MMEngine's default makes a group per
    parameter, warns of each one of the teacher's, and steps each group on its own.

    Args:
        optim_wrapper_cfg: As in MMEngine.
        paramwise_cfg: Must be empty; use MMEngine's constructor for finer rules.

    Source: DINO's and DoRA's released code.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise ValueError(
                f'DecayGroupsConstructor has no paramwise_cfg, got {paramwise_cfg}. For rules by '
                "parameter use constructor='DefaultOptimWrapperConstructor'."
            )
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def __call__(self, model: nn.Module):
        """The optimizer wrapper of a model."""
        groups = self.groups(unwrap_model(model))
        optimizer = OPTIMIZERS.build(dict(self.optimizer_cfg, params=groups))
        return OPTIM_WRAPPERS.build(self.optim_wrapper_cfg, default_args=dict(optimizer=optimizer))

    def groups(self, module: nn.Module) -> list[dict]:
        """Parameter groups: what decays, and what does not (``weight_decay=0``)."""
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        return [
            dict(params=[parameter for parameter in trained if parameter.ndim > 1]),
            dict(
                params=[parameter for parameter in trained if parameter.ndim <= 1], weight_decay=0.0
            ),
        ]
