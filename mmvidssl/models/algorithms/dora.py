"""DoRA: discover and track objects, and distil each of them."""

import torch
from torch import Tensor, nn

from mmvidssl.registry import MODELS

from ..utils import FrameTokens, TrackResult, apply_masks
from .dora_presets import apply_preset
from .self_distillation import SelfDistillation


@MODELS.register_module()
class DoRA(SelfDistillation):
    """DoRA (ICLR 2024, "Is ImageNet worth 1 video?").

    The teacher sees the whole global clip; its attention gives the masks of ``O`` objects in every
    frame. The student sees the clip masked by each object, and local crops, and must predict the
    teacher's distribution over prototypes, frame by frame.

    Args:
        backbone: Config of a backbone with ``forward_tokens`` and ``num_heads``, e.g. ``DINOViT``.
        neck: Config, e.g. ``DINONeck``.
        tracker: Config, e.g. ``MultiObjectTracker``.
        target_generator: Config, e.g. ``DistillationTargetGenerator``.
        head: Config, e.g. ``DoRAHead``.
        preset: Fills in what tells the paper from the released code; see the table.
        data_preprocessor: As in :class:`SelfDistillation`.
        init_cfg: As in MMEngine.

    ============================= ========= ============
    option                        ``paper`` ``official``
    ============================= ========= ============
    backbone.interpolate_offset   0         0.1
    tracker.threshold             map       batch
    head.skip_first_local         False     True
    head.carry_over               False     True
    ============================= ========= ============

    Raises:
        ValueError: if the backbone has fewer heads than there are objects, or a preset and a stated
            option contradict each other.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        tracker: dict,
        target_generator: dict,
        head: dict,
        preset: str | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        parts = apply_preset(preset, dict(backbone=backbone, tracker=tracker, head=head))
        super().__init__(
            backbone=parts['backbone'],
            neck=neck,
            target_generator=target_generator,
            head=parts['head'],
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.tracker = MODELS.build(parts['tracker'])
        self.tracker.check_heads(self.backbone.num_heads)

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """Losses of a batch (B batch, T frames, O objects, V local views, K prototypes).

        Args:
            inputs: ``global_clip`` ``(B, C, T, H, W)`` and ``local_clips``, a list of
                ``(B, C, T, h, w)``; normalised.
            data_samples: Unused.

        Raises:
            ValueError: if there is more than one global clip, or shapes do not fit.
        """
        global_clips, local_clips = self.unpack_views(inputs)
        if len(global_clips) > 1:
            raise ValueError(
                f'DoRA tracks objects through one global clip, got {len(global_clips)}. Set '
                'num_global_views=1 in ClipMultiCrop.'
            )
        tokens, logits = self.forward_teacher(global_clips[0])
        target = self.target_generator(logits)  # (T, B, K)
        masks = self.tracker(tokens).masks  # (O, B, T, h, w)
        student_objects = self.forward_student(apply_masks(global_clips[0], masks))  # (O, T, B, K)
        student_locals = self.forward_student_locals(local_clips)  # (V, T, B, K)
        return self.head.loss(student_objects, student_locals, target)

    @torch.no_grad()
    def forward_teacher(self, clip: Tensor) -> tuple[FrameTokens, Tensor]:
        """Tokens, and logits ``(T, B, K)``, of clips ``(B, C, T, H, W)``."""
        tokens = self.teacher.backbone.forward_tokens(clip)
        return tokens, self.teacher.neck(tokens.class_token)

    @torch.no_grad()
    def track(self, clip: Tensor) -> TrackResult:
        """Find objects in the first frame of clips ``(B, C, T, H, W)`` and follow them."""
        return self.tracker(self.teacher.backbone.forward_tokens(clip))

    def predict(self, clip: Tensor) -> TrackResult:
        """Same as :meth:`track`."""
        return self.track(clip)
