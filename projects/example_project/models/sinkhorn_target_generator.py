"""Targets that use every prototype equally."""

from mmengine.model import BaseModule
from torch import Tensor

from mmvidssl.models.utils import sinkhorn_knopp
from mmvidssl.registry import MODELS


@MODELS.register_module()
class SinkhornTargetGenerator(BaseModule):
    """Share the frames of a batch out among the prototypes instead of centering.

    Works on the frames of one process.

    Args:
        teacher_temp: Strength of the entropy; ``TeacherTempHook`` may change it.
        num_iters: How often prototypes and frames are normalised in turn.

    Source: SwAV, section 3.1, on the teacher's logits.
    """

    def __init__(self, teacher_temp: float = 0.04, num_iters: int = 3) -> None:
        super().__init__()
        self.teacher_temp = teacher_temp
        self.num_iters = num_iters

    def forward(self, logits: Tensor) -> Tensor:
        """Logits ``(..., K)`` -> probabilities ``(..., K)`` in float32, without gradient."""
        frames = logits.flatten(0, -2)
        return sinkhorn_knopp(frames, self.teacher_temp, self.num_iters).view(logits.shape)
