"""Student and teacher: what DINO and DoRA share."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from mmvidssl.registry import MODELS
from mmvidssl.utils.roles import complete_teacher

from ..utils import clip_to_frames, ema_update_
from .base import BaseAlgorithm, check_class_tokens, check_views, check_widths


class SelfDistillation(BaseAlgorithm):
    """Base of DINO and DoRA: a student that learns from its moving average, the teacher.

    In a state dict the student is ``backbone.*`` and ``neck.*``, the teacher ``teacher.backbone.*``
    and ``teacher.neck.*``; downstream configs choose by ``prefix=``. The teacher starts as a copy
    of the student, has no drop path and no gradients, stays in evaluation mode, and moves only in
    :meth:`update_teacher`. ``TeacherMomentumHook`` calls that after each optimizer step, and
    :meth:`finish_step`, in which the target generator moves its center.

    Args:
        backbone: Config of the student's backbone.
        neck: Config of the student's projection.
        target_generator: Config of what turns the teacher's logits into targets.
        head: Config of what computes the loss.
        data_preprocessor: As in :class:`BaseAlgorithm`.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: if the backbone puts out something else than class tokens, or parts do not fit
            each other.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        target_generator: dict,
        head: dict,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        check_class_tokens(self.backbone)
        self.neck = MODELS.build(neck)
        self.teacher = nn.ModuleDict(
            dict(backbone=MODELS.build(self._teacher_cfg(backbone)), neck=MODELS.build(neck))
        )
        self.teacher.requires_grad_(False)
        self.target_generator = MODELS.build(target_generator)
        self.head = MODELS.build(head)
        check_widths(
            self,
            ('neck.in_channels', 'backbone.embed_dims'),
            ('target_generator.num_prototypes', 'neck.num_prototypes'),
        )
        self.update_teacher(momentum=1.0)
        self.train(self.training)
        self._register_load_state_dict_pre_hook(self._start_teacher_from_student)

    @staticmethod
    def _start_teacher_from_student(state_dict: dict, prefix: str, *args) -> None:
        """If a state dict has no teacher (a published backbone), start it as a copy."""
        complete_teacher(state_dict, prefix)

    @staticmethod
    def _teacher_cfg(backbone: dict) -> dict:
        """The student's config without stochastic depth and without loading weights twice."""
        cfg = {key: value for key, value in backbone.items() if key != 'init_cfg'}
        if 'drop_path_rate' in cfg:
            cfg['drop_path_rate'] = 0.0
        return cfg

    def init_weights(self) -> None:
        """Initialise the student, and make the teacher a copy of it."""
        super().init_weights()
        self.update_teacher(momentum=1.0)

    def train(self, mode: bool = True) -> 'SelfDistillation':
        """Switch the student; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def update_teacher(self, momentum: float) -> None:
        """Move the teacher towards the student; ``momentum`` is the student's weight."""
        ema_update_(self.teacher.backbone, self.backbone, momentum)
        ema_update_(self.teacher.neck, self.neck, momentum)

    def set_teacher_temp(self, teacher_temp: float) -> None:
        """Set the temperature of the teacher's distribution."""
        self.target_generator.teacher_temp = teacher_temp

    @abstractmethod
    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """Losses of a batch, by name."""

    @torch.no_grad()
    def extract_feat(self, clip: Tensor) -> Tensor:
        """Class tokens ``(B, T, D)`` of the teacher for clips ``(B, C, T, H, W)``."""
        features = self.teacher.backbone(clip_to_frames(clip))[-1]
        return features.unflatten(0, (clip.shape[2], clip.shape[0])).transpose(0, 1)

    def predict(self, clip: Tensor):
        """Prediction for clips ``(B, C, T, H, W)``: features, unless a subclass overrides it."""
        return self.extract_feat(clip)

    def encode_student(self, views: Tensor) -> Tensor:
        """Class tokens ``(V, T, B, D)`` of views ``(V, B, C, T, H, W)``, all in one forward."""
        num_views, batch_size, _, clip_len = views.shape[:4]
        frames = clip_to_frames(views)
        if hasattr(self.backbone, 'forward_class_token'):
            features = self.backbone.forward_class_token(frames)
        else:
            features = self.backbone(frames)[-1]
        return features.unflatten(0, (num_views, clip_len, batch_size))

    def encode_student_locals(self, local_clips: list[Tensor]) -> Tensor | None:
        """Class tokens ``(V, T, B, D)`` of ``V`` clips ``(B, C, T, h, w)``; None for no clips."""
        return self.encode_student(torch.stack(local_clips)) if local_clips else None

    def project_student(self, *features: Tensor | None) -> list[Tensor | None]:
        """Logits ``(V, T, B, K)`` of class tokens ``(V, T, B, D)``, and None of None.

        All in one forward, since the prototypes and their gradients are large.
        """
        given = [one for one in features if one is not None]
        logits = iter(self.neck(torch.cat(given)).split([len(one) for one in given]))
        return [None if one is None else next(logits) for one in features]

    @staticmethod
    def unpack_views(inputs: dict) -> tuple[list[Tensor], list[Tensor]]:
        """The global clips (one or more) and the local clips of ``inputs``, checked.

        Raises:
            ValueError: names the view whose shape does not fit.
        """
        if 'global_clip' not in inputs:
            raise ValueError(
                "inputs needs 'global_clip' (and, as a rule, 'local_clips'), got "
                f'{sorted(inputs)}. Does the pipeline have ClipMultiCrop?'
            )
        global_clips = [inputs['global_clip'], *inputs.get('extra_global_clips', ())]
        local_clips = list(inputs.get('local_clips', ()))
        check_views(global_clips, local_clips)
        return global_clips, local_clips
