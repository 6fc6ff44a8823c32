"""Head that computes DoRA's loss."""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmvidssl.registry import MODELS


@MODELS.register_module()
class DoRAHead(BaseModule):
    """DoRA's head: objects and local crops learn from the teacher's view of the whole frame.

    Args:
        loss: Config of the loss that compares views ``(V, T, B, K)`` with a target ``(T, B, K)``.
        object_weight: Weight of the objects' loss.
        local_weight: Weight of the local crops' loss.
        skip_first_local: Leave the first local crop out, as the released code does (a left-over of
            DINO's rule that a view is not compared with itself).
        carry_over: Weigh objects as the released code does: its running loss is divided by the
            number of frames after each object and carried on to the next, so that earlier objects
            weigh more, and the local crops are counted once for each object.

    Source: DoRA, section 3.3, equations 8 to 10. The paper's loss has both switches off.
    """

    def __init__(
        self,
        loss: dict,
        object_weight: float = 0.5,
        local_weight: float = 0.5,
        skip_first_local: bool = False,
        carry_over: bool = False,
    ) -> None:
        super().__init__()
        self.loss_module = MODELS.build(loss)
        self.object_weight = object_weight
        self.local_weight = local_weight
        self.skip_first_local = skip_first_local
        self.carry_over = carry_over

    def object_weights(self, num_objects: int, clip_len: int) -> Tensor:
        """Weight ``(O,)`` of each object: one, or more for earlier ones with ``carry_over``.

        The released code's weight of object ``o`` is ``sum(T ** -j for j in range(O - o))``.
        """
        if not self.carry_over:
            return torch.ones(num_objects)
        return torch.tensor(
            [sum(clip_len**-later for later in range(num_objects - o)) for o in range(num_objects)]
        )

    def loss(
        self, student_objects: Tensor, student_locals: Tensor | None, target: Tensor
    ) -> dict[str, Tensor]:
        """DoRA's losses of a batch.

        Args:
            student_objects: Logits ``(O, T, B, K)`` of the masked clips.
            student_locals: Logits ``(V, T, B, K)`` of the local crops, or None without any.
            target: ``(T, B, K)`` probabilities.

        Returns:
            ``loss_object`` and, with local crops, ``loss_local``; scalars to be summed.
        """
        object_loss = self.loss_module(student_objects, target).mean(dim=1)
        weights = self.object_weights(len(object_loss), len(target)).to(object_loss)
        losses = dict(loss_object=self.object_weight * (weights * object_loss).mean())
        if student_locals is not None:
            local_loss = self.loss_module(self._counted(student_locals), target).mean()
            losses['loss_local'] = self.local_weight * weights.mean() * local_loss
        return losses

    def _counted(self, student_locals: Tensor) -> Tensor:
        if not self.skip_first_local:
            return student_locals
        if len(student_locals) < 2:
            raise ValueError(
                'skip_first_local=True (the preset "official") leaves the first local crop out and '
                f'needs at least 2, got {len(student_locals)}. Add local crops or switch it off.'
            )
        return student_locals[1:]
