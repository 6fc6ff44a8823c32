"""DINO's loss: cross-entropy between teacher and student over prototypes."""

import torch
from torch import Tensor, nn

from mmvidssl.registry import MODELS


@MODELS.register_module()
class DINOLoss(nn.Module):
    """DINO's loss: cross-entropy of the student's logits against the teacher's probabilities.

    ``-sum_k target_k log softmax(logits / student_temp)_k``; the target generator centers targets.

    Args:
        student_temp: Temperature of the student.

    Source: DINO, equation 2. The naive loop is: for each view, frame and clip, the cross-entropy of
    that clip's frame in that view against the target of the same frame; then the mean over clips.
    """

    def __init__(self, student_temp: float = 0.1) -> None:
        super().__init__()
        if student_temp <= 0:
            raise ValueError(f'student_temp must be positive, got {student_temp}')
        self.student_temp = student_temp

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of each view and frame against each target.

        Args:
            logits: ``(V, T, B, K)`` of the student.
            target: ``(T, B, K)`` probabilities, or ``(G, T, B, K)`` of several targets.

        Returns:
            ``(V, T)``, or ``(G, V, T)``, float32, mean over the batch.

        Raises:
            ValueError: if the shapes do not correspond.
        """
        if logits.shape[1:] != target.shape[-3:]:
            raise ValueError(
                'DINOLoss compares logits (V, T, B, K) with a target (T, B, K), got '
                f'{tuple(logits.shape)} and {tuple(target.shape)}'
            )
        # Under autocast the product would be taken in half precision.
        with torch.autocast(logits.device.type, enabled=False):
            log_probs = (logits.float() / self.student_temp).log_softmax(dim=-1)
            total = torch.einsum('...tbk,vtbk->...vt', target.float(), log_probs)
            return -total / target.shape[-2]
