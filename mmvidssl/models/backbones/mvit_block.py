"""A block of MViTv2 that keeps little for its backward pass."""

import torch
from mmaction.models.backbones.mvit import MultiScaleBlock
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .mvit_attention import Grid, MViTAttention, channels_last
from .recompute import recompute

# Parts in which tokens go through an MLP that is recomputed, so that no more of its hidden layer
# exists at a time.
NUM_CHUNKS = 4


class MViTBlock(MultiScaleBlock):
    """mmaction2's ``MultiScaleBlock``, which keeps little for its backward pass.

    Outputs of norms, of GELU and the like are recomputed there.

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

        Its constructor names the classes of its blocks; ours add methods, but no state.
        """
        block.__class__ = cls
        block.attn.__class__ = MViTAttention
        block.with_cp = with_cp
        block.recomputes_linear = block.attn.recomputes_linear = recomputes_linear and not with_cp
        # Inside a checkpoint all is recomputed, and what that needs should not be kept.
        block.attn.recomputes = not with_cp

    def forward(
        self, x: Tensor, in_size: Grid, wanted: Tensor | None = None
    ) -> tuple[Tensor, Grid]:
        """Attend, then feed forward.

        Args:
            x: Tokens ``(B, 1 + N, D)``; no 1 where there is no class token.
            in_size: Their grid ``(t, h, w)``.
            wanted: ``(B, 1 + M)``, bool: the tokens that anyone asks for; None for all.

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
        """MLP of tokens, recomputed in the backward pass up to ``fc2``, whose output is not
        needed there."""

        def mlp(x: Tensor) -> Tensor:
            return self.mlp(self.norm2(x))

        return checkpoint(mlp, x, use_reentrant=False, preserve_rng_state=False)

    def _widen(self, x: Tensor, norm: nn.Module) -> Tensor:
        """The skip connection where the width grows."""
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
