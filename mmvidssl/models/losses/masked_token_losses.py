"""Losses of masked tokens, one for each kind of target."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvidssl.registry import MODELS


class MaskedTokenLoss(nn.Module):
    """Base of the losses of masked tokens: checks shapes, then calls :meth:`compare` in float32.

    Attributes:
        target_width: Width of a target; None: that of a prediction.
    """

    target_width: int | None = None

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Predictions ``(M, Q)`` and targets ``(M, target_width)`` -> scalar.

        Raises:
            ValueError: if the shapes do not correspond or there is no token.
        """
        wanted = (len(pred), self.target_width or pred.shape[-1])
        if pred.ndim != 2 or tuple(target.shape) != wanted or not len(pred):
            raise ValueError(
                f'{type(self).__name__} compares predictions (M, Q) with targets '
                f'(M, {self.target_width or "Q"}) of at least one masked token, got '
                f'{tuple(pred.shape)} and {tuple(target.shape)}. Q is the out_channels of the neck.'
            )
        with torch.autocast(pred.device.type, enabled=False):
            return self.compare(pred.float(), target)

    @abstractmethod
    def compare(self, pred: Tensor, target: Tensor) -> Tensor:
        """Mean loss (scalar) of float32 predictions and targets, whose shapes are checked."""

    @staticmethod
    def activate(pred: Tensor) -> Tensor:
        """Predictions in the form of their targets."""
        return pred


@MODELS.register_module()
class RegressionLoss(MaskedTokenLoss):
    """Mean squared error over masked tokens and dimensions.

    For ``HOGGenerator`` and ``PixelGenerator``. Source: MaskFeat, section 3.1.
    """

    def compare(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(pred, target.float())


@MODELS.register_module()
class NormalizedRegressionLoss(MaskedTokenLoss):
    """Squared distance of L2-normalised predictions and targets, ``2 - 2 cos``.

    Summed over dimensions, averaged over masked tokens: between 0 and 4 whatever the width. (A mean
    over dimensions as well would be ``Q`` times smaller.) For ``DeepFeatureGenerator``.

    Source: MaskFeat, section 3.2, "Deep features"; the scale is that of BYOL, equation 2.
    """

    def compare(self, pred: Tensor, target: Tensor) -> Tensor:
        difference = self.activate(pred) - self.activate(target)
        return difference.square().sum(dim=-1).mean()

    @staticmethod
    def activate(pred: Tensor) -> Tensor:
        """Features ``(M, Q)`` of length one, float32."""
        return F.normalize(pred.float(), dim=-1)


@MODELS.register_module()
class CodeCrossEntropyLoss(MaskedTokenLoss):
    """Cross-entropy of logits ``(M, K)`` against one code a token, ``(M, 1)`` int64.

    For ``DiscreteTokenGenerator``. Source: MaskFeat, section 3.2, "dVAE"; BEiT, section 2.

    Raises:
        TypeError: if the targets are not integers.
    """

    target_width = 1

    def compare(self, pred: Tensor, target: Tensor) -> Tensor:
        if target.is_floating_point():
            raise TypeError(
                f'CodeCrossEntropyLoss needs integer codes, got {target.dtype}; for soft labels '
                'there is SoftCrossEntropyLoss'
            )
        return F.cross_entropy(pred, target[:, 0])


@MODELS.register_module()
class SoftCrossEntropyLoss(MaskedTokenLoss):
    """Cross-entropy of logits ``(M, K)`` against probabilities ``(M, K)``.

    For ``PseudoLabelGenerator``.

    Source: MaskFeat, section 3.2, "Pseudo-label"; Jiang et al., "All tokens matter", NeurIPS 2021.
    """

    def compare(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(pred, target.float())

    @staticmethod
    def activate(pred: Tensor) -> Tensor:
        """Probabilities ``(M, K)`` of logits, float32."""
        return pred.float().softmax(dim=-1)
