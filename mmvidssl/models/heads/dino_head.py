"""Head that computes DINO's loss on clips."""

from mmengine.model import BaseModule
from torch import Tensor

from mmvidssl.registry import MODELS


@MODELS.register_module()
class DINOHead(BaseModule):
    """DINO's head: each view of the student learns from each *other* global view of the teacher.

    Args:
        loss: Config of the loss that compares views ``(V, T, B, K)`` with targets
            ``(G, T, B, K)``, pair by pair: ``(G, V, T)``.

    Source: DINO, equation 3, frame by frame (the baseline of DoRA's ablation).
    """

    def __init__(self, loss: dict) -> None:
        super().__init__()
        self.loss_module = MODELS.build(loss)

    def loss(
        self, student_views: Tensor | None, student_locals: Tensor | None, targets: Tensor
    ) -> dict[str, Tensor]:
        """DINO's loss, averaged over all pairs of a target and a different view.

        Args:
            student_views: Logits ``(G, T, B, K)`` of the global views, in the order of ``targets``;
                None if there is only one, for which there is no other target.
            student_locals: Logits ``(V, T, B, K)`` of the local crops, or None without any.
            targets: ``(G, T, B, K)`` probabilities.

        Returns:
            ``loss_global`` (with two global views or more) and ``loss_local`` (with local crops),
            weighted by their numbers of pairs; their sum is DINO's loss.
        """
        num_views = len(targets)
        num_locals = 0 if student_locals is None else len(student_locals)
        num_pairs = num_views * (num_views - 1 + num_locals)
        losses = {}
        if student_views is not None:
            pairs = self.loss_module(student_views, targets).mean(dim=-1)  # (G, G)
            losses['loss_global'] = (pairs.triu(1) + pairs.tril(-1)).sum() / num_pairs
        if student_locals is not None:
            pairs = self.loss_module(student_locals, targets).mean(dim=-1)  # (G, V)
            losses['loss_local'] = pairs.sum() / num_pairs
        return losses
