"""Cross-entropy of predicted codes."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmvidssl.registry import MODELS

from .checks import check_pair


@MODELS.register_module()
class CodeCrossEntropyLoss(nn.Module):
    """Cross-entropy of logits against one code a token, mean over masked tokens, in float32.

    For ``DiscreteTokenGenerator``.

    Source: MaskFeat, section 3.2, "dVAE"; BEiT, section 2.
    """

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Logits ``(M, K)`` and codes ``(M, 1)``, int64 -> scalar.

        Raises:
            ValueError: if the shapes do not correspond or there is no token.
            TypeError: if the targets are not integers.
        """
        check_pair('CodeCrossEntropyLoss', pred, target, width=1)
        if target.is_floating_point():
            raise TypeError(
                f'CodeCrossEntropyLoss needs integer codes, got {target.dtype}; for soft labels '
                'there is SoftCrossEntropyLoss'
            )
        return F.cross_entropy(pred.float(), target[:, 0])
