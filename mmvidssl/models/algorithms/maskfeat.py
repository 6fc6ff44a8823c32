"""MaskFeat: masked feature prediction."""

import torch
from torch import Tensor, nn

from mmvidssl.registry import MODELS
from mmvidssl.utils.roles import complete_average

from ..utils import ClipTokens, prediction_health, resize_mask, stack_masks
from .base import BaseAlgorithm, check_input_norm, check_widths


@MODELS.register_module()
class MaskFeat(BaseAlgorithm):
    """Predict features of the masked cubes of a clip, or of the masked patches of an image.

    Images are clips of one frame. Only masked tokens are projected and compared.

    Args:
        backbone: Config of a backbone with ``forward_tokens(clip, mask)`` and
            ``forward_masked(clip, mask)``: ``MaskFeatMViT`` or ``MaskFeatViT``.
        neck: Config of the projection of tokens ``(M, D)``, which gives a tuple whose last entry is
            ``(M, Q)``: ``mmpretrain.LinearNeck`` without a norm.
        target_generator: Config of what computes the targets ``(B, N, Q')`` of all tokens.
        head: Config of what computes the loss: ``MaskFeatHead``.
        data_preprocessor: As in :class:`BaseAlgorithm`.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: if the neck's width is not the backbone's or not the target's, or its input
            normalisation is not the data preprocessor's.

    Source: MaskFeat (Wei et al., CVPR 2022), section 3. Differs from the reference: nothing with
    ``HOGGenerator`` and ``CubeMask``; the reference projects all tokens and then selects.
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
        self.neck = MODELS.build(neck)
        self.target_generator = MODELS.build(target_generator)
        self.head = MODELS.build(head)
        check_widths(
            self,
            ('neck.in_channels', 'backbone.out_channels'),
            ('neck.out_channels', 'target_generator.pred_channels'),
        )
        check_input_norm(self.target_generator, self.data_preprocessor)
        if self.has_moving_teacher:
            self.update_teacher(momentum=1.0)
            self._register_load_state_dict_pre_hook(self._start_average_from_student)

    @staticmethod
    def _start_average_from_student(state_dict: dict, prefix: str, *args) -> None:
        """If a state dict has no moving average (a published backbone), start it as a copy."""
        complete_average(state_dict, prefix)

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: ``clip`` ``(B, C, T, H, W)``, normalised.
            data_samples: One a clip, with its mask.

        Raises:
            ValueError: if masks are missing or empty, or do not fit the token grid.
        """
        clip = inputs['clip']
        mask = stack_masks(data_samples).to(clip.device)
        tokens, grid = self.backbone.forward_masked(clip, mask)  # (M, D)
        if not len(tokens):
            raise ValueError('every mask of the batch masks nothing: there is nothing to predict')
        pred = self.neck(tokens)[-1]  # (M, Q)
        target = self.target_generator(clip)  # (B, N, Q')
        check_target(target, clip, grid)
        target = target[resize_mask(mask, grid).flatten(1)]  # (M, Q')
        if self.measure_health:
            self.measure(prediction_health(self.head.activate(pred), target, tokens))
        return self.head.loss(pred, target)

    def forward(self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'):
        """MMEngine's entry point; ``'predict'`` needs masks, as ``'loss'`` does."""
        if mode == 'predict':
            return self.predict(inputs['clip'], stack_masks(data_samples))
        return super().forward(inputs, data_samples, mode)

    @torch.no_grad()
    def predict(self, clip: Tensor, mask: Tensor) -> ClipTokens:
        """Predicted features ``(B, N, Q)`` of all tokens of a masked clip, and their grid.

        Args:
            clip: ``(B, C, T, H, W)``, normalised.
            mask: ``(B, t, h, w)`` bool on the mask window.
        """
        tokens, grid = self.backbone.forward_tokens(clip, mask.to(clip.device))
        pred = self.neck(tokens.flatten(0, 1))[-1]
        return ClipTokens(pred.unflatten(0, tokens.shape[:2]), grid)

    @torch.no_grad()
    def extract_feat(self, clip: Tensor) -> Tensor:
        """Mean patch tokens of each time step, ``(B, t, D)``, of unmasked ``(B, C, T, H, W)``."""
        tokens, grid = self.backbone.forward_tokens(clip)
        return tokens.unflatten(1, (grid[0], -1)).mean(dim=2)

    def init_weights(self) -> None:
        """Initialise all parts; a moving-average teacher starts as a copy of the backbone."""
        super().init_weights()
        if self.has_moving_teacher:
            self.update_teacher(momentum=1.0)

    @property
    def has_moving_teacher(self) -> bool:
        """Whether the target generator has a moving average for :meth:`update_teacher`."""
        generator = self.target_generator
        return hasattr(generator, 'update_teacher') and bool(getattr(generator, 'ema', True))

    def update_teacher(self, momentum: float) -> None:
        """Move the target generator's teacher towards the backbone, of the weight ``momentum``.

        Raises:
            TypeError: if the target generator has no teacher that can move.
        """
        if not hasattr(self.target_generator, 'update_teacher'):
            raise TypeError(
                f'{type(self.target_generator).__name__} has no teacher that could be updated; '
                'remove TeacherMomentumHook from custom_hooks'
            )
        self.target_generator.update_teacher(self.backbone, momentum)


def check_target(target: Tensor, clip: Tensor, grid: tuple[int, int, int]) -> None:
    """Check that there are as many targets as tokens in the grid."""
    num_tokens = grid[0] * grid[1] * grid[2]
    if target.shape[1] != num_tokens:
        raise ValueError(
            f'the target generator gives {target.shape[1]} targets for a clip of '
            f'{tuple(clip.shape[2:])} (T, H, W), but the backbone predicts {num_tokens} on the '
            f'token grid {tuple(grid)}. Set patch_size and temporal_stride of the target '
            "generator to the backbone's."
        )
