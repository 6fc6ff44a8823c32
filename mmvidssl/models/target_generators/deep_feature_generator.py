"""Features of another model, or of the student's moving average, as targets."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvidssl.registry import MODELS

from ..utils import ClipTokens, ema_update_
from .base import patch_grid, target_frames
from .teacher_generator import TeacherGenerator, last_feature_map, maps_to_tokens, resize_maps


@MODELS.register_module()
class DeepFeatureGenerator(TeacherGenerator):
    """Targets: L2-normalised features of a teacher, without gradient, in float32.

    A teacher of frames (``DINOViT``, mmpretrain's ViTs with ``out_type='featmap'`` and CNNs; of a
    whole classifier, its backbone) sees the target frames; its last feature map is resized to the
    token grid. A teacher of clips (``MaskFeatMViT``, mmaction2's) sees the whole clip.

    Args:
        teacher: Config of the model, frozen unless ``ema``.
        ema: The teacher is the moving average of the student, with the same config as the
            algorithm's backbone. ``custom_hooks`` must then have ``TeacherMomentumHook``, which
            calls ``MaskFeat.update_teacher`` after each optimizer step; without it the teacher
            keeps the student's initial weights.
        takes_clips: Give the teacher clips ``(B, C, T, H, W)`` rather than frames. It must have
            ``forward_tokens(clip)`` or put out feature maps ``(B, D, t, h, w)``.
        **kwargs: As in :class:`TeacherGenerator`.

    Source: MaskFeat, section 3.2, "Deep features"; for ``ema``, data2vec (Baevski et al., 2022).
    The loss is ``NormalizedRegressionLoss``. Differs from the reference: the released code has no
    such target.
    """

    def __init__(
        self, teacher: dict, ema: bool = False, takes_clips: bool = False, **kwargs
    ) -> None:
        super().__init__(teacher, **kwargs)
        self.ema = ema
        self.takes_clips = takes_clips

    def _check_weights(self) -> None:
        if not self.ema:
            super()._check_weights()

    @torch.no_grad()
    def forward(self, clip: Tensor) -> Tensor:
        """Targets ``(B, t * h * w, D)`` of length one; see :class:`PatchTargetGenerator`.

        Raises:
            ValueError: if the shape does not fit, or the teacher puts out something else than
                feature maps.
        """
        tokens = self._clip_features(clip) if self.takes_clips else super().forward(clip)
        return F.normalize(tokens, dim=-1)

    def generate(self, frames: Tensor, grid: tuple[int, int, int]) -> Tensor:
        backbone = getattr(self.teacher, 'backbone', self.teacher)
        maps = last_feature_map(backbone(self._renormalize(frames.flatten(0, 1))), 4, backbone)
        return maps_to_tokens(resize_maps(maps, grid[1:]), grid[0])

    def _clip_features(self, clip: Tensor) -> Tensor:
        clip = clip.unsqueeze(2) if clip.ndim == 4 else clip
        frames = target_frames(clip, self.temporal_stride)
        grid = (frames.shape[1], *patch_grid(frames, self.patch_size))
        clip = self._renormalize(clip)
        if hasattr(self.teacher, 'forward_tokens'):
            maps = self._tokens_to_maps(self.teacher.forward_tokens(clip))
        else:
            backbone = getattr(self.teacher, 'backbone', self.teacher)
            maps = last_feature_map(backbone(clip), 5, backbone)
        if maps.shape[2:] != grid:
            maps = F.interpolate(maps.float(), size=grid, mode='trilinear', align_corners=False)
        return maps.float().flatten(2).transpose(1, 2)

    def _tokens_to_maps(self, tokens: ClipTokens) -> Tensor:
        if not isinstance(tokens, ClipTokens):
            raise ValueError(
                f'{type(self.teacher).__name__} is a teacher of frames; set takes_clips=False'
            )
        return tokens.tokens.transpose(1, 2).unflatten(2, tokens.grid)

    def update_teacher(self, student: nn.Module, momentum: float) -> None:
        """Move the teacher towards a student with the same parameters.

        Args:
            student: The algorithm's backbone.
            momentum: Weight of the student; 1 copies it, which starts a run.

        Raises:
            TypeError: if the teacher is frozen.
        """
        if not self.ema:
            raise TypeError(
                'this DeepFeatureGenerator has a frozen teacher, which is never updated; set '
                'ema=True, or remove TeacherMomentumHook from custom_hooks'
            )
        ema_update_(self.teacher, student, momentum)
