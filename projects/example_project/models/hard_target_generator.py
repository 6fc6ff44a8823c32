"""Targets without doubt: one prototype a frame."""

from torch import Tensor
from torch.nn.functional import one_hot

from mmvidssl.models import DistillationTargetGenerator
from mmvidssl.registry import MODELS


@MODELS.register_module()
class HardTargetGenerator(DistillationTargetGenerator):
    """The most likely prototype of each frame, with all of the weight.

    Args:
        See :class:`mmvidssl.models.DistillationTargetGenerator`.

    Source: SwAV, section 3.1 ("discrete codes").
    """

    def forward(self, logits: Tensor) -> Tensor:
        """Logits ``(..., K)`` -> 0 and 1 ``(..., K)`` in float32, without gradient."""
        return one_hot(super().forward(logits).argmax(dim=-1), self.num_prototypes).float()
