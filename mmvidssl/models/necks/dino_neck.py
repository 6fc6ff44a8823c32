"""DINO's projection head; a neck here, because a head computes the loss in this package."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from mmvidssl.registry import MODELS

from ..utils import Linear


@MODELS.register_module()
class DINONeck(BaseModule):
    """DINO's projection head: MLP, L2 normalisation, and weight-normalised prototypes.

    Args:
        in_channels: Width ``D`` of the backbone.
        num_prototypes: Number ``K`` of prototypes (DINO's ``out_dim``).
        hidden_channels: Width of the hidden layers.
        bottleneck_channels: Width at which the features are normalised.
        num_layers: Number of linear layers of the MLP, >= 1.
        use_bn: Whether batch norm follows each hidden layer. A teacher, which stays in evaluation
            mode, then uses the student's running statistics.
        norm_last_layer: Keep the prototypes' lengths at one (more stable, DINO's default). The
            released DoRA trains them.
        init_cfg: As in MMEngine.

    Source: DINO, section 3.1, "Network architecture".
    """

    def __init__(
        self,
        in_channels: int,
        num_prototypes: int = 65536,
        hidden_channels: int = 2048,
        bottleneck_channels: int = 256,
        num_layers: int = 3,
        use_bn: bool = False,
        norm_last_layer: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_layers < 1:
            raise ValueError(f'DINONeck needs num_layers >= 1, got {num_layers}')
        self.in_channels = in_channels
        self.num_prototypes = num_prototypes
        self.norm_last_layer = norm_last_layer
        hidden: list[nn.Module] = []
        for index in range(num_layers - 1):
            width = hidden_channels if index else in_channels
            hidden += [Linear(width, hidden_channels)]
            hidden += [nn.BatchNorm1d(hidden_channels)] if use_bn else []
            hidden += [nn.GELU()]
        width = hidden_channels if hidden else in_channels
        self.mlp = nn.Sequential(*hidden, Linear(width, bottleneck_channels))
        self.last_layer = weight_norm(Linear(bottleneck_channels, num_prototypes, bias=False))
        self._reset_parameters()

    def init_weights(self) -> None:
        """Truncated normal for the MLP, unit lengths for the prototypes, or pretrained weights."""
        self._reset_parameters()
        super().init_weights()

    def _reset_parameters(self) -> None:
        for module in self.mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        length = self.last_layer.parametrizations.weight.original0
        nn.init.ones_(length)
        length.requires_grad_(not self.norm_last_layer)

    def forward(self, features: Tensor) -> Tensor:
        """``(..., D)`` -> logits ``(..., K)``."""
        hidden = self.mlp(features.flatten(0, -2))  # batch norm takes two axes only
        logits = self.last_layer(F.normalize(hidden, dim=-1))
        return logits.unflatten(0, features.shape[:-1])
