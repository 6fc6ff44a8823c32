"""Cross-entropy of predicted soft labels."""

import torch
from torch import Tensor, nn

from mmvidssl.registry import MODELS

from .checks import check_pair


@MODELS.register_module()
class SoftCrossEntropyLoss(nn.Module):
    """Cross-entropy of logits against probabilities, mean over masked tokens, in float32.

    For ``PseudoLabelGenerator``.

    Source: MaskFeat, section 3.2, "Pseudo-label"; Jiang et al., "All tokens matter", NeurIPS 2021.
    """

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Logits ``(M, K)`` and probabilities ``(M, K)`` -> scalar.

        Raises:
            ValueError: if the shapes do not correspond or there is no token.
        """
        check_pair('SoftCrossEntropyLoss', pred, target)
        with torch.autocast(pred.device.type, enabled=False):
            log_probs = pred.float().log_softmax(dim=-1)
            return -(target.float() * log_probs).sum(dim=-1).mean()

    @staticmethod
    def activate(pred: Tensor) -> Tensor:
        """What is compared: probabilities ``(M, K)`` of logits, float32."""
        return pred.float().softmax(dim=-1)
