"""Centering and sharpening of the teacher's logits."""

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModule
from torch import Tensor

from mmvidssl.registry import MODELS


@MODELS.register_module()
class DistillationTargetGenerator(BaseModule):
    """Center and sharpen the teacher's logits: ``softmax((logits - center) / teacher_temp)``.

    The center is the running mean of the logits over all frames, clips and processes, and is moved
    after the targets have been computed, in training mode only.

    Args:
        num_prototypes: Number ``K`` of prototypes.
        center_momentum: Weight of the new mean (DINO's ``m`` is one minus it).
        teacher_temp: Temperature; an engine hook may change it in the course of training.

    Source: DINO, section 3.1, "Avoiding collapse". Differs from the reference: nothing.
    """

    center: Tensor

    def __init__(
        self, num_prototypes: int, center_momentum: float = 0.1, teacher_temp: float = 0.04
    ) -> None:
        super().__init__()
        if not 0 <= center_momentum <= 1:
            raise ValueError(
                f'center_momentum is the weight of the new mean and lies in [0, 1], got '
                f'{center_momentum}'
            )
        if teacher_temp <= 0:
            raise ValueError(f'teacher_temp must be positive, got {teacher_temp}')
        self.num_prototypes = num_prototypes
        self.center_momentum = center_momentum
        self.teacher_temp = teacher_temp
        self.register_buffer('center', torch.zeros(1, num_prototypes))

    @torch.no_grad()
    def forward(self, logits: Tensor) -> Tensor:
        """Logits ``(..., K)`` -> probabilities ``(..., K)`` in float32, without gradient."""
        logits = logits.float()
        target = ((logits - self.center) / self.teacher_temp).softmax(dim=-1)
        if self.training:
            self._update_center(logits)
        return target

    def _update_center(self, logits: Tensor) -> None:
        mean = logits.flatten(0, -2).mean(dim=0, keepdim=True)
        all_reduce(mean, op='mean')
        self.center.lerp_(mean, self.center_momentum)
