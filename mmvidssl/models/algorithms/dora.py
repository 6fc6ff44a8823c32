"""DoRA: discover and track objects, and distil each of them."""

import torch
from mmengine.dist import get_rank, get_world_size
from torch import Tensor, nn

from mmvidssl.registry import MODELS

from ..utils import (
    FrameTokens,
    TrackResult,
    apply_masks,
    counted_generator,
    distillation_health,
    shuffle_masks,
    tracking_health,
)
from .dora_presets import apply_preset
from .self_distillation import SelfDistillation

MASKINGS = ('object', 'background', 'random', 'none')


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
        preset: ``'paper'`` or ``'official'`` (the released code) fills in the options of the table.
        masking: What the student sees of the global clip: each ``'object'`` alone, as in the paper;
            all but the object (``'background'``); as many patches of a frame as the object covers,
            at random positions (``'random'``); or the whole clip, once (``'none'``). Targets and
            tracker are the same in all four.
        mask_seed: Seed of ``masking='random'``. The positions in a clip depend only on it and the
            clip's number, counted over all ranks and passes, so not on how clips are divided among
            these; evaluation mode counts from 0.
        data_preprocessor: As in :class:`SelfDistillation`.
        init_cfg: As in MMEngine.

    The presets differ in four options. Where the paper's value was not found (NF), ``paper`` leaves
    the option to the config; defaults are the released code's values, which ``official`` requires.

    ============================= ========= ============
    option                        ``paper`` ``official``
    ============================= ========= ============
    backbone.interpolate_offset   0         0.1
    tracker.threshold             map       batch
    head.skip_first_local         False     True
    head.carry_over               False     True
    tracker.block                 NF        -1
    tracker.draw_heads            NF        pass
    tracker.epsilon               NF        0.05
    tracker.num_iters             NF        30
    tracker.normalize_features    NF        True
    tracker.mask_type             NF        hard
    head.object_weight            NF        0.5
    head.local_weight             NF        0.5
    ============================= ========= ============

    ``tracker.block``: the paper speaks of the output of the second-last layer, of which the last
    block's query and keys are projections; so -1 agrees with it as well. ``tracker.draw_heads``:
    the default is not the released code's but ``step``: all ranks draw alike, so that it makes no
    difference how a step's clips are divided among ranks and passes.

    The paper's ablation is run by ``tracker.num_objects``, ``tracker.use_sinkhorn``, ``masking``
    and the dataset's ``clip_len``, which no preset touches.

    Raises:
        ValueError: if the backbone lacks the heads or the block that the tracker asks for, or a
            preset and a stated option contradict each other.
    """

    num_mask_draws: Tensor

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        tracker: dict,
        target_generator: dict,
        head: dict,
        preset: str | None = None,
        masking: str = 'object',
        mask_seed: int = 1,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if masking not in MASKINGS:
            raise ValueError(f'masking must be one of {MASKINGS}, got {masking!r}')
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
        self.tracker.check_backbone(self.backbone.num_heads, self.backbone.num_layers)
        self.masking = masking
        self.mask_seed = mask_seed
        if masking == 'random':
            self.register_buffer('num_mask_draws', torch.zeros((), dtype=torch.long))

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
        track = self.tracker(tokens)
        masks = self.student_masks(track.masks)  # (O, B, T, h, w)
        features = self.encode_student(apply_masks(global_clips[0], masks))  # (O, T, B, D)
        local_features = self.encode_student_locals(local_clips)  # (V, T, B, D)
        student_objects, student_locals = self.project_student(features, local_features)
        if self.measure_health:
            center = self.target_generator.center
            measured = distillation_health(target, tokens.class_token, features, center)
            self.measure({**measured, **tracking_health(track)})
        return self.head.loss(student_objects, student_locals, target)

    def student_masks(self, objects: Tensor) -> Tensor:
        """Masks of what the student sees, according to ``masking``; True or 1 where it sees.

        Args:
            objects: ``(O, B, T, h, w)``, bool or soft weights: masks of the objects.

        Returns:
            The same shape and type, or with one object for ``'none'``.
        """
        if self.masking == 'none':
            return torch.ones_like(objects[:1])
        if self.masking == 'background':
            return ~objects if objects.dtype == torch.bool else 1 - objects
        if self.masking == 'random':
            clips = range(objects.shape[1])
            if self.training:  # ranks take clips in turn
                first, num_ranks = int(self.num_mask_draws) + get_rank(), get_world_size()
                clips = range(first, first + len(clips) * num_ranks, num_ranks)
                self.num_mask_draws += len(clips) * num_ranks
            generators = [counted_generator(self.mask_seed, clip) for clip in clips]
            return shuffle_masks(objects, generators)
        return objects

    @torch.no_grad()
    def forward_teacher(self, clip: Tensor) -> tuple[FrameTokens, Tensor]:
        """The teacher's tokens, and its logits ``(T, B, K)``, for clips ``(B, C, T, H, W)``."""
        tokens = self.teacher.backbone.forward_tokens(clip, self.tracker.block)
        return tokens, self.teacher.neck(tokens.class_token)

    @torch.no_grad()
    def track(self, clip: Tensor) -> TrackResult:
        """Find objects in the first frame of clips ``(B, C, T, H, W)`` and follow them."""
        return self.tracker(self.teacher.backbone.forward_tokens(clip, self.tracker.block))

    def predict(self, clip: Tensor) -> TrackResult:
        """Same as :meth:`track`."""
        return self.track(clip)
