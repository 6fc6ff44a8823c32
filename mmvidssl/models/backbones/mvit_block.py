"""A block of MViTv2 that can compute some of its outputs alone."""

import torch
from mmaction.models.backbones.mvit import MultiScaleBlock
from torch import Tensor

from .depthwise import channels_last
from .mvit_attention import Grid, MViTAttention
from .recompute import run_block


class MViTBlock(MultiScaleBlock):
    """mmaction2's ``MultiScaleBlock`` with :class:`MViTAttention`.

    Attributes:
        with_cp: What is computed again in the backward pass, as in :class:`MViT`.
    """

    with_cp: bool | str = False

    @classmethod
    def adopt(cls, block: MultiScaleBlock, with_cp: bool | str) -> None:
        """Turn a block that mmaction2's ``MViT`` built into one of these, in place.

        ``MViT`` fixes the class of its blocks; ours adds methods, but no state, so it fits.
        """
        block.__class__ = cls
        block.attn.__class__ = MViTAttention
        block.with_cp = with_cp

    def forward(self, x: Tensor, in_size: Grid, rows: Tensor | None = None) -> tuple[Tensor, Grid]:
        """Attention, then MLP, each with its skip connection.

        Args:
            x: Tokens ``(B, 1 + N, D)``, or ``(B, N, D)`` without a class token.
            in_size: Grid ``(t, h, w)`` of the ``N`` patch tokens.
            rows: ``(B, R)``, the output tokens to compute; None for all.

        Returns:
            Tokens ``(B, 1 + M, D')``, or ``(B, R, D')``, and the grid of the ``M``.
        """
        return run_block(self._forward, self.with_cp, x, in_size, rows)

    def _forward(self, x: Tensor, in_size: Grid, rows: Tensor | None) -> tuple[Tensor, Grid]:
        normed = self.norm1(x)
        attended, grid = self.attn(normed, in_size, rows)
        skip = self.proj(normed) if self.proj is not None and self.dim_mul_in_attention else x
        if self.pool_skip is not None:
            skip = self._pool_skip(skip, in_size)
        if rows is not None:
            skip = skip.take_along_dim(rows[..., None], dim=1)
        x = skip + self.drop_path(attended)
        normed = self.norm2(x)
        skip = x if self.proj is None or self.dim_mul_in_attention else self.proj(normed)
        return skip + self.drop_path(self.mlp(normed)), grid

    def _pool_skip(self, x: Tensor, in_size: Grid) -> Tensor:
        """Max-pool the patch tokens of the skip connection as queries are downscaled."""
        num_class = int(self.with_cls_token)
        clip = channels_last(x[:, num_class:].unflatten(1, in_size).movedim(-1, 1))
        return torch.cat((x[:, :num_class], self.pool_skip(clip).flatten(2).transpose(1, 2)), dim=1)
