"""Squared distance of directions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvidssl.registry import MODELS

from .checks import check_pair


@MODELS.register_module()
class NormalizedRegressionLoss(nn.Module):
    """Squared distance of L2-normalised predictions and targets, ``2 - 2 cos``, in float32.

    Summed over dimensions, averaged over masked tokens: between 0 and 4 whatever the width. (A mean
    over dimensions as well would be ``Q`` times smaller.) For ``DeepFeatureGenerator``.

    Source: MaskFeat, section 3.2, "Deep features"; the scale is that of BYOL, equation 2.
    """

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Predictions ``(M, Q)`` and targets ``(M, Q)``, of any length -> scalar.

        Raises:
            ValueError: if the shapes do not correspond or there is no token.
        """
        check_pair('NormalizedRegressionLoss', pred, target)
        with torch.autocast(pred.device.type, enabled=False):
            difference = self.activate(pred) - self.activate(target)
            return difference.square().sum(dim=-1).mean()

    @staticmethod
    def activate(pred: Tensor) -> Tensor:
        """What is compared: features ``(M, Q)`` of length one, float32."""
        return F.normalize(pred.float(), dim=-1)
