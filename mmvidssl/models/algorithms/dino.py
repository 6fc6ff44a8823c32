"""DINO on the frames of clips: the baseline of DoRA."""

import torch
from torch import Tensor

from mmvidssl.registry import MODELS

from ..utils import clip_to_frames, distillation_health
from .self_distillation import SelfDistillation


@MODELS.register_module()
class DINO(SelfDistillation):
    """Self-distillation with no labels (ICCV 2021), applied to each frame of a clip.

    With one global view the student sees only the local crops; with two or more it sees all views,
    and no view is compared with itself.

    Its options are those of :class:`SelfDistillation`; ``head`` is a ``DINOHead``.
    """

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: ``global_clip`` ``(B, C, T, H, W)``, optionally ``extra_global_clips`` (a list
                of the same shape) and ``local_clips`` (a list of ``(B, C, T, h, w)``); normalised.
            data_samples: Unused.
        """
        global_clips, local_clips = self.unpack_views(inputs)
        if len(global_clips) + len(local_clips) < 2:
            raise ValueError(
                'DINO compares different views of a clip and got one global view and no local '
                'crops. Set num_local_views or num_global_views of ClipMultiCrop.'
            )
        views = torch.stack(global_clips)
        teacher_features, logits = self.forward_teacher(views)
        targets = self.target_generator(logits)  # (G, T, B, K)
        view_features = self.encode_student(views) if len(views) > 1 else None  # (G, T, B, D)
        local_features = self.encode_student_locals(local_clips)  # (V, T, B, D)
        if self.measure_health:
            seen = local_features if view_features is None else view_features
            center = self.target_generator.center
            self.measure(distillation_health(targets, teacher_features, seen, center))
        student_views, student_locals = self.project_student(view_features, local_features)
        return self.head.loss(student_views, student_locals, targets)

    @torch.no_grad()
    def forward_teacher(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Class tokens ``(G, T, B, D)`` and logits ``(G, T, B, K)`` of ``(G, B, C, T, H, W)``."""
        num_views, batch_size, _, clip_len = views.shape[:4]
        features = self.teacher.backbone(clip_to_frames(views))[-1]
        features = features.unflatten(0, (num_views, clip_len, batch_size))
        return features, self.teacher.neck(features)
