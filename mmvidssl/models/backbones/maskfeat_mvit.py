"""The MViTv2 that MaskFeat pretrains."""

import torch
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mmvidssl.registry import MODELS
from mmvidssl.utils.init_cfg import names_checkpoint

from ..utils import ClipTokens, resize_mask
from .mvit import MViT
from .mvit_attention import Grid, pooled_grid

# MViTv2 without its last downscaling; widths and numbers of heads still grow at the same blocks.
PRETRAINING_ARCHS = {
    'tiny': dict(num_layers=10, downscale_indices=[1, 3], dim_mul_indices=[1, 3, 8]),
    'small': dict(num_layers=16, downscale_indices=[1, 3], dim_mul_indices=[1, 3, 14]),
    'base': dict(num_layers=24, downscale_indices=[2, 5], dim_mul_indices=[2, 5, 21]),
    'large': dict(
        embed_dims=144,
        num_layers=48,
        num_heads=2,
        downscale_indices=[2, 8],
        dim_mul_indices=[2, 8, 44],
    ),
}


@MODELS.register_module()
class MaskFeatMViT(MViT):
    """MViTv2 over a clip whose masked patches are replaced by one learned token.

    MaskFeat (section 3) predicts 14x14 targets a frame, so the last downscaling of the queries of
    MViTv2 is left out, and restored for fine-tuning (:class:`MViT`).

    Differs from the reference: in names only; the final norm, in PySlowFast a part of the
    prediction head, is ``norm2`` here.

    Args:
        arch: ``'small'``, ``'base'`` or ``'large'`` (MViTv2-S, B, L; also ``'tiny'``): the last
            downscaling is removed. A dict as in :class:`MViT` is taken as it is.
        **kwargs: As in :class:`MViT`.
    """

    def __init__(self, arch: str | dict = 'small', **kwargs) -> None:
        super().__init__(arch=self._pretraining_arch(arch), **kwargs)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        self.freeze(self.frozen_stages)

    @staticmethod
    def _pretraining_arch(arch: str | dict) -> dict:
        if isinstance(arch, dict):
            return arch
        if arch not in PRETRAINING_ARCHS:
            raise ValueError(
                f'arch must be one of {sorted(PRETRAINING_ARCHS)} or a dict with embed_dims, '
                f'num_layers, num_heads and downscale_indices, got {arch!r}'
            )
        return dict(embed_dims=96, num_heads=1) | PRETRAINING_ARCHS[arch]

    def init_weights(self, *args, **kwargs) -> None:
        """As in :class:`MViT`; the mask token like the class token, the last norm's bias 0.

        The biases of all other norms are 0.02: PySlowFast has the last in its prediction head.
        """
        super().init_weights(*args, **kwargs)
        if not names_checkpoint(self.init_cfg):
            trunc_normal_(self.mask_token, std=0.02)
            nn.init.zeros_(self._last_norm.bias)

    def forward_tokens(self, clip: Tensor, mask: Tensor | None = None) -> ClipTokens:
        """Tokens of a clip after the final norm.

        Args:
            clip: ``(B, C, T, H, W)``, normalised.
            mask: ``(B, t', h', w')`` bool on the mask window, True = masked; each side divides
                that of the grid of patch embeddings. None masks nothing.

        Returns:
            Tokens ``(B, t * h * w, D)`` without class token, and the grid ``(t, h, w)``.
        """
        tokens, grid = self._forward_but_last(clip, mask)
        tokens, grid = self.blocks[-1](tokens, grid)
        return ClipTokens(self._last_norm(tokens)[:, int(self.with_cls_token) :], tuple(grid))

    def forward_masked(self, clip: Tensor, mask: Tensor) -> ClipTokens:
        """``forward_tokens(clip, mask)`` of the masked tokens alone, which costs less.

        Args:
            clip: ``(B, C, T, H, W)``, normalised.
            mask: ``(B, t', h', w')`` as there.

        Returns:
            Tokens ``(M, D)``, sample by sample and in the order of the grid, and the whole grid.
        """
        tokens, grid = self._forward_but_last(clip, mask)
        last = self.blocks[-1]
        out_grid = pooled_grid(last.attn.pool_q, grid)
        wanted = resize_mask(mask, out_grid).flatten(1)
        wanted = nn.functional.pad(wanted, (int(self.with_cls_token), 0))
        # Each sample's wanted tokens first; where another has more, some unwanted behind them.
        order = wanted.byte().argsort(dim=1, descending=True, stable=True)
        rows = order[:, wanted.gather(1, order).any(dim=0)]
        tokens = last(tokens, grid, rows)[0][wanted.gather(1, rows)]
        return ClipTokens(self._last_norm(tokens), out_grid)

    def _forward_but_last(self, clip: Tensor, mask: Tensor | None) -> tuple[Tensor, Grid]:
        """Tokens (class token first, if any) before the last block, and their grid."""
        tokens, grid = self.patch_embed(clip)
        if mask is not None:
            masked = resize_mask(mask, grid).flatten(1).unsqueeze(-1)
            tokens = torch.where(masked, self.mask_token.to(tokens.dtype), tokens)
        tokens = self._add_class_token(tokens, grid)
        for block in list(self.blocks)[:-1]:  # a slice would be a new module for every clip
            tokens, grid = block(tokens, grid)
        return tokens, grid
