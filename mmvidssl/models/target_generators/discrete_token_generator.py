"""Codes of a discrete variational autoencoder as targets."""

import torch
from torch import Tensor

from mmvidssl.registry import MODELS

from .base import check_positive
from .teacher_generator import TeacherGenerator, resize_maps


@MODELS.register_module()
class DiscreteTokenGenerator(TeacherGenerator):
    """Targets: the code of each patch in a frozen tokenizer's codebook.

    Frames are resized (bilinear, antialiased) so that one code falls on each patch: 224 pixels with
    patches of 16 become 112 for a tokenizer of stride 8.

    Args:
        tokenizer: Config of a frozen model with ``get_tokens(frames)`` (``mmpretrain.VQKD``), or
            that puts out logits ``(B, num_codes, h, w)`` (``mmpretrain.DALL-E``).
        code_stride: Pixels of the tokenizer's input per code, in height and width: 8 for DALL-E's,
            16 for VQ-KD's.
        num_codes: Size of the tokenizer's codebook.
        **kwargs: As in :class:`TeacherGenerator`. ``teacher_norm``: DALL-E's tokenizer expects
            pixels from 0.1 to 0.9, ``mean=(-31.875, ) * 3, std=(318.75, ) * 3``; VQ-KD's from -1 to
            1, ``mean=(127.5, ) * 3, std=(127.5, ) * 3``.

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
            ValueError: if the tokenizer puts out no codes, not one per patch, or codes of another
                codebook than ``num_codes``. With ``get_tokens`` the latter is checked in the first
                call only, by the largest code, since that waits for the device.
        """
        frames = self._renormalize(frames.flatten(0, 1))
        size = (grid[1] * self.code_stride, grid[2] * self.code_stride)
        # Codes are the argmax of logits, which half precision could change.
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
            wanted = 'logits (B, num_codes, h, w)'
            logits = self._checked(self.teacher(frames), frames, wanted, ndim=4)
            if logits.shape[1] != self.pred_channels:
                self._refuse_num_codes(f'has {logits.shape[1]} codes')
            return logits.argmax(dim=1).flatten(1)
        output = self.teacher.get_tokens(frames)
        output = output.get('token') if isinstance(output, dict) else output
        codes = self._checked(output, frames, "integer codes (B, N), or a dict with 'token'")
        if not self._has_checked_codes and (largest := int(codes.max())) >= self.pred_channels:
            self._refuse_num_codes(f'gives code {largest}')
        self._has_checked_codes = True
        return codes.flatten(1)

    def _checked(
        self, output: object, frames: Tensor, wanted: str, ndim: int | None = None
    ) -> Tensor:
        """``output``, if it has ``ndim`` axes (None: is integers) and an entry for each frame."""
        got = type(output).__name__
        if isinstance(output, Tensor):
            is_wanted = output.ndim == ndim if ndim else not output.is_floating_point()
            if is_wanted and output.ndim > 1 and len(output) == len(frames):
                return output
            got = f'a {output.dtype} tensor of the shape {tuple(output.shape)}'
        raise ValueError(
            f'{type(self.teacher).__name__} must give {wanted} of B={len(frames)} frames, got {got}'
        )

    def _refuse_num_codes(self, found: str) -> None:
        raise ValueError(
            f'{type(self.teacher).__name__} {found}, but num_codes={self.pred_channels}; set '
            "num_codes (and neck.out_channels) to the size of the tokenizer's codebook."
        )
