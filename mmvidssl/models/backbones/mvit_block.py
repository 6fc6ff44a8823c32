"""A block of MViTv2 that keeps few activations for its backward pass."""

import torch
from mmaction.models.backbones.mvit import MultiScaleBlock
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .mvit_attention import Grid, MViTAttention, channels_last
from .recompute import recompute

# A recomputed MLP takes the tokens in so many chunks, so that its hidden layer never exists whole.
NUM_CHUNKS = 4


class MViTBlock(MultiScaleBlock):
    """mmaction2's ``MultiScaleBlock``, which keeps few activations for its backward pass.

    Outputs of norms, GELU and other cheap operations are recomputed.

    Attributes:
        with_cp: Keep only the input and recompute all else.
        recomputes_linear: Recompute the linear maps before pooling and before GELU too, but not the
            attention.
    """

    with_cp = False
    recomputes_linear = False

    @classmethod
    def adopt(cls, block: MultiScaleBlock, with_cp: bool, recomputes_linear: bool) -> None:
        """Turn a block that mmaction2's ``MViT`` built into one of these, in place.

        ``MViT`` fixes the class of its blocks; ours adds methods, but no state, so it fits.
        """
        block.__class__ = cls
        block.attn.__class__ = MViTAttention
        block.with_cp = with_cp
        block.recomputes_linear = block.attn.recomputes_linear = recomputes_linear and not with_cp
        # A checkpoint recomputes everything; to recompute parts inside it would only keep tensors.
        block.attn.recomputes = not with_cp

    def forward(
        self, x: Tensor, in_size: Grid, wanted: Tensor | None = None
    ) -> tuple[Tensor, Grid]:
        """Attention, then MLP, each with its skip connection.

        Args:
            x: Tokens ``(B, 1 + N, D)``, or ``(B, N, D)`` without a class token.
            in_size: Grid ``(t, h, w)`` of the ``N`` patch tokens.
            wanted: ``(B, 1 + M)``, bool: the output tokens to compute; None for all.

        Returns:
            Tokens ``(B, 1 + M, D')``, or ``(number wanted, D')``, and the grid of the ``M``.
        """
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(self._forward, x, in_size, wanted, use_reentrant=False)
        return self._forward(x, in_size, wanted)

    def _forward(self, x: Tensor, in_size: Grid, wanted: Tensor | None) -> tuple[Tensor, Grid]:
        attended, grid = self.attn(x, in_size, self.norm1)
        skip = self._widen(x, self.norm1) if self.dim_mul_in_attention else x
        if self.pool_skip is not None:
            skip = self._pool_skip(skip, in_size)
        x = skip + self.drop_path(attended)
        if wanted is None:
            return self._feed_forward(x), grid
        if self.training and isinstance(self.drop_path, DropPath):  # which drops whole samples
            return self._feed_forward(x)[wanted], grid
        return self._feed_forward(x[wanted]), grid

    def _feed_forward(self, x: Tensor) -> Tensor:
        skip = x if self.dim_mul_in_attention else self._widen(x, self.norm2)
        if self.recomputes_linear and torch.is_grad_enabled():
            chunks = x.chunk(NUM_CHUNKS, dim=-2)
            out = torch.cat([self._recomputed_mlp(chunk) for chunk in chunks], dim=-2)
        else:
            hidden = self._recompute(self.mlp.fc1, self.norm2, x)
            out = self._recompute(self.mlp.fc2, self.mlp.act, hidden)
        return skip + self.drop_path(out)

    def _recomputed_mlp(self, x: Tensor) -> Tensor:
        """MLP of tokens, recomputed in the backward pass up to the input of its last layer."""

        def mlp(x: Tensor) -> Tensor:
            return self.mlp(self.norm2(x))

        return checkpoint(mlp, x, use_reentrant=False, preserve_rng_state=False)

    def _widen(self, x: Tensor, norm: nn.Module) -> Tensor:
        """Skip connection of the layer that may widen the tokens: projected if it does."""
        return x if self.proj is None else self._recompute(self.proj, norm, x)

    def _recompute(self, *args):
        return recompute(*args, enabled=not self.with_cp)

    def _pool_skip(self, x: Tensor, in_size: Grid) -> Tensor:
        """Max-pool the patch tokens of the skip connection as queries are downscaled."""
        num_class = int(self.with_cls_token)
        pooled = self._recompute(self.pool_skip, self._patches_to_clip, x, num_class, in_size)
        return torch.cat((x[:, :num_class], pooled.flatten(2).transpose(1, 2)), dim=1)

    @staticmethod
    def _patches_to_clip(x: Tensor, num_class: int, grid: Grid) -> Tensor:
        return channels_last(x[:, num_class:].unflatten(1, grid).movedim(-1, 1))
