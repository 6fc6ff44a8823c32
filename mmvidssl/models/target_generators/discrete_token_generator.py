"""Codes of a discrete variational autoencoder as targets."""

import torch
from torch import Tensor

from mmvidssl.registry import MODELS

from .base import check_positive
from .teacher_generator import TeacherGenerator, resize_maps


@MODELS.register_module()
class DiscreteTokenGenerator(TeacherGenerator):
    """The code of each patch in a tokenizer's codebook, without gradient.

    Frames are resized (bilinear, antialiased) so that one code falls on each patch: 224 pixels with
    patches of 16 become 112 for a tokenizer of stride 8.

    Args:
        tokenizer: Config of a frozen model with ``get_tokens(frames)`` (``mmpretrain.VQKD``), or
            that puts out logits ``(B, num_codes, h, w)`` (``mmpretrain.DALL-E``).
        code_stride: Pixels of the tokenizer's input a code, in height and width: 8 for DALL-E's, 16
            for VQ-KD's.
        num_codes: Size of the tokenizer's codebook.
        **kwargs: As in :class:`TeacherGenerator`. For ``teacher_norm``, DALL-E's tokenizer wants
            0.1 to 0.9, which is ``mean=(-31.875, ) * 3, std=(318.75, ) * 3``; VQ-KD's -1 to 1,
            which is ``mean=(127.5, ) * 3, std=(127.5, ) * 3``.

    Attributes:
        pred_channels: ``num_codes``, what the neck must put out.

    Source: MaskFeat, section 3.2, "dVAE"; BEiT, section 2. The loss is ``CodeCrossEntropyLoss``.
    Differs from the reference: the released code has no such target; BEiT resizes the picture
    before it is cropped, by PIL's Lanczos filter.
    """

    def __init__(
        self, tokenizer: dict, code_stride: int = 8, num_codes: int = 8192, **kwargs
    ) -> None:
        super().__init__(tokenizer, **kwargs)
        check_positive(code_stride=code_stride, num_codes=num_codes)
        self.code_stride = code_stride
        self.pred_channels = num_codes
        self._has_checked_codes = False

    def generate(self, frames: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Targets ``(B, t * h * w, 1)``, int64 in ``[0, num_codes)``.

        Raises:
            ValueError: if the tokenizer puts out no codes, not one a patch, or not ``num_codes``
                different ones. For ``get_tokens``, the latter is seen by the largest code of the
                first call only, since that waits for the device.
        """
        frames = self._renormalize(frames.flatten(0, 1))
        size = (grid[1] * self.code_stride, grid[2] * self.code_stride)
        # Codes are decided by an argmax, in which half precision would have its say.
        with torch.autocast(frames.device.type, enabled=False):
            codes = self._codes(resize_maps(frames, size))
        if codes.shape[1] != grid[1] * grid[2]:
            raise ValueError(
                f'{type(self.teacher).__name__} gives {codes.shape[1]} codes for a frame of '
                f'{size[0]}x{size[1]} pixels, but there are {grid[1]}x{grid[2]} patches. Set '
                f'code_stride (now {self.code_stride}) to the pixels that it takes for one code.'
            )
        return codes.unflatten(0, (-1, grid[0])).flatten(1, 2).unsqueeze(-1)

    def _codes(self, frames: Tensor) -> Tensor:
        """``(M, C, H, W)`` -> codes ``(M, h * w)``."""
        if not hasattr(self.teacher, 'get_tokens'):
            return self._checked_logits(self.teacher(frames), len(frames)).argmax(dim=1).flatten(1)
        tokens = self.teacher.get_tokens(frames)
        tokens = tokens.get('token') if isinstance(tokens, dict) else tokens
        return self._checked_codes(tokens, len(frames)).flatten(1)

    def _checked_logits(self, logits: object, num_frames: int) -> Tensor:
        if not isinstance(logits, Tensor) or logits.ndim != 4 or len(logits) != num_frames:
            raise ValueError(
                f'{type(self.teacher).__name__} must put out logits (B, num_codes, h, w), here of '
                f'B={num_frames} frames, or have get_tokens(frames); got {_describe(logits)}'
            )
        if logits.shape[1] != self.pred_channels:
            raise ValueError(
                f'{type(self.teacher).__name__} has {logits.shape[1]} codes, but num_codes='
                f'{self.pred_channels}; set num_codes (and neck.out_channels) to {logits.shape[1]}.'
            )
        return logits

    def _checked_codes(self, codes: object, num_frames: int) -> Tensor:
        is_batch = isinstance(codes, Tensor) and codes.ndim >= 2 and len(codes) == num_frames
        if not isinstance(codes, Tensor) or not is_batch or codes.is_floating_point():
            raise ValueError(
                f'{type(self.teacher).__name__}.get_tokens must give integer codes (B, N), here of '
                f"B={num_frames} frames, or a dict with them as 'token'; got {_describe(codes)}"
            )
        if not self._has_checked_codes:
            self._check_range(codes)
            self._has_checked_codes = True
        return codes

    def _check_range(self, codes: Tensor) -> None:
        largest = int(codes.max())
        if largest >= self.pred_channels:
            raise ValueError(
                f'{type(self.teacher).__name__} gives code {largest}, so it has at least '
                f'{largest + 1} codes, but num_codes={self.pred_channels}; set num_codes (and '
                "neck.out_channels) to the size of the tokenizer's codebook."
            )


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f'a {value.dtype} tensor of the shape {tuple(value.shape)}'
    return type(value).__name__
