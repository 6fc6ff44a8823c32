"""Squared error of predicted features."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmvidssl.registry import MODELS

from .checks import check_pair


@MODELS.register_module()
class RegressionLoss(nn.Module):
    """Mean squared error over masked tokens and dimensions, in float32.

    For ``HOGGenerator`` and ``PixelGenerator``.

    Source: MaskFeat, section 3.1.
    """

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Predictions ``(M, Q)`` and targets ``(M, Q)`` -> scalar.

        Raises:
            ValueError: if the shapes do not correspond or there is no token.
        """
        check_pair('RegressionLoss', pred, target)
        return F.mse_loss(pred.float(), target.float())
