"""DoRA whose student also sees the whole frame."""

import torch
from torch import Tensor

from mmvidssl.models import DoRA
from mmvidssl.models.utils import apply_masks
from mmvidssl.registry import MODELS


@MODELS.register_module()
class WholeViewDoRA(DoRA):
    """DoRA with one more object, which is everything.

    Args:
        See :class:`mmvidssl.models.DoRA`.
    """

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """Losses of a batch, as in :class:`mmvidssl.models.DoRA`."""
        (global_clip,), local_clips = self.unpack_views(inputs)
        tokens, logits = self.forward_teacher(global_clip)
        target = self.target_generator(logits)  # (T, B, K)
        masks = self.tracker(tokens).masks  # (O, B, T, h, w)
        masks = torch.cat((torch.ones_like(masks[:1]), masks))  # (1 + O, B, T, h, w)
        features = self.encode_student(apply_masks(global_clip, masks))
        local_features = self.encode_student_locals(local_clips)
        student_objects, student_locals = self.project_student(features, local_features)
        return self.head.loss(student_objects, student_locals, target)
