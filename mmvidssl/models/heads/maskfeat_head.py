"""Head that computes MaskFeat's loss."""

from mmengine.model import BaseModule
from torch import Tensor

from mmvidssl.registry import MODELS


@MODELS.register_module()
class MaskFeatHead(BaseModule):
    """MaskFeat's head: compares the predictions of masked tokens with their targets.

    Args:
        loss: Config of a loss that takes predictions ``(M, Q)`` and targets ``(M, Q')`` and gives a
            scalar; the target generator's docstring names the one that fits.

    Source: MaskFeat, section 3.1.
    """

    def __init__(self, loss: dict) -> None:
        super().__init__()
        self.loss_module = MODELS.build(loss)

    def activate(self, pred: Tensor) -> Tensor:
        """Predictions ``(M, Q)`` in the form of their targets (probabilities, unit vectors)."""
        return getattr(self.loss_module, 'activate', lambda pred: pred)(pred)

    def loss(self, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
        """``{'loss': scalar}`` of predictions ``(M, Q)`` and targets ``(M, Q')``."""
        return dict(loss=self.loss_module(pred, target))
