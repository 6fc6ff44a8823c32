"""Pooled attention of MViTv2 without an attention map."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmaction.models.backbones.mvit import MultiScaleAttention, resize_decomposed_rel_pos
from torch import Tensor, nn

from ..utils import Linear
from .depthwise import channels_last, depthwise_conv3d
from .vit_parts import split_linear

Grid = tuple[int, int, int]


class MViTAttention(MultiScaleAttention):
    """mmaction2's ``MultiScaleAttention`` in less memory; the same parameters and outputs.

    - The bias of decomposed relative positions is an inner product, ``q . R_t + q . R_h + q . R_w``
      of the query with three tables, from which each coordinate of the key picks a row. The three
      products are appended to the query, and the key's coordinates, one-hot, to the key; so one
      fused kernel computes everything, and neither bias nor attention map is ever built.
    - Pooling convolutions run channels last. One convolution pools keys and values, which are
      computed only at the positions that it reads.
    """

    def init_weights(self) -> None:
        """As in mmaction2, which fails without relative positions."""
        if self.rel_pos_embed:
            super().init_weights()

    def forward(self, x: Tensor, in_size: Grid, rows: Tensor | None = None) -> tuple[Tensor, Grid]:
        """Pooled multi-head self-attention.

        Args:
            x: Normalised tokens ``(B, 1 + N, D)``, or ``(B, N, D)`` without a class token.
            in_size: Grid ``(t, h, w)`` of the ``N`` patch tokens.
            rows: ``(B, R)``, the output tokens to compute; None for all.

        Returns:
            ``(B, 1 + M, D')``, or ``(B, R, D')``, and the grid of the ``M`` pooled queries.
        """
        query, key, value = self._tokens(x, in_size)
        grids = pooled_grid(self.pool_q, in_size), pooled_grid(self.pool_k, in_size)
        bias = self._query_bias(query, *grids) if self.rel_pos_embed else None
        if rows is None:
            rows = torch.arange(query.shape[2], device=x.device)[None]
        else:
            places = rows[:, None, :, None]
            query = query.take_along_dim(places, dim=2)
            bias = None if bias is None else bias.take_along_dim(places, dim=2)
        out = self._attend(query, bias, key, value, grids[1])
        if self.residual_pooling:
            is_patch = (rows >= int(self.with_cls_token)).to(out.dtype)[:, None, :, None]
            out = torch.addcmul(out, query, is_patch)
        return self.proj(out.transpose(1, 2).flatten(2)), grids[0]

    def _tokens(self, x: Tensor, in_size: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised query ``(B, heads, 1 + M, d)``, key and value ``(B, heads, 1 + K, d)``."""
        query, key_value = self._project(x, in_size)
        dtype = key_value[1].dtype
        query = self.norm_q(self._pool(*query, [self.pool_q]))
        pooled = self._pool(*key_value, [self.pool_k, self.pool_v])
        key, value = pooled.chunk(2, dim=-1)
        return query.to(dtype), self.norm_k(key).to(dtype), self.norm_v(value).to(dtype)

    def _project(self, x: Tensor, in_size: Grid) -> list[tuple[Tensor, Tensor]]:
        """Queries, and keys with values, before pooling, each as ``_fold`` returns them.

        Keys and values are computed only at the positions that their pooling reads.
        """
        seen = [seen_places(self.pool_k, axis, side, x.device) for axis, side in enumerate(in_size)]
        t, h, w = map(len, seen)
        if (t, h, w) == tuple(in_size):
            parts = self.out_dims, 2 * self.out_dims
            query, key_value = self.qkv(x).split(parts, dim=-1)
        else:
            rows = cell_numbers(seen, in_size) + int(self.with_cls_token)
            rows = F.pad(rows, (int(self.with_cls_token), 0))
            query, key_value = self._project_some(x, rows)
        query = query.unflatten(-1, (1, self.num_heads, -1))
        key_value = key_value.unflatten(-1, (2, self.num_heads, -1))
        return [self._fold(query, in_size), self._fold(key_value, (t, h, w))]

    def _project_some(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Queries of all tokens ``(B, 1 + N, D)``, keys and values of the ``rows`` alone."""
        parts = self.out_dims, 2 * self.out_dims
        if type(self.qkv) is not Linear:  # an adapter (LoRA, say): its weights cannot be split
            query, key_value = self.qkv(x).split(parts, dim=-1)
            return query, key_value.index_select(1, rows)
        query_of, key_value_of = split_linear(self.qkv, parts)
        return query_of(x), key_value_of(x.index_select(1, rows))

    def _fold(self, x: Tensor, in_size: Grid) -> tuple[Tensor, Tensor]:
        """Split into class token ``(B, heads, 1, P * d)``, clip ``(B * heads, P * d, t, h, w)``.

        Args:
            x: ``(B, 1 + N, P, heads, d)``, ``P`` tensors that are pooled alike.
            in_size: Grid ``(t, h, w)`` of the ``N`` patch tokens.
        """
        class_token, patches = self._split_class_token(x.permute(0, 3, 1, 2, 4))
        patches = patches.flatten(3).flatten(0, 1).unflatten(1, in_size)
        return class_token.clone().flatten(3), channels_last(patches.movedim(-1, 1))

    def _split_class_token(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Split ``(B, heads, 1 + N, ...)`` into class token (0 or 1) and ``N`` patch tokens."""
        num_class = int(self.with_cls_token)
        return tokens.split((num_class, tokens.shape[2] - num_class), dim=2)

    def _pool(self, class_token: Tensor, clip: Tensor, pools: Sequence[nn.Conv3d]) -> Tensor:
        """Pool the outputs of ``_fold`` by all ``pools`` at once: ``(B, heads, 1 + M, P * d)``."""
        weight = torch.cat([pool.weight for pool in pools])
        stride = tuple(map(min, pools[0].stride, pools[0].kernel_size))  # see seen_places
        pooled = depthwise_conv3d(clip, weight, stride, pools[0].padding)
        tokens = pooled.flatten(2).transpose(1, 2).unflatten(0, class_token.shape[:2])
        return torch.cat((class_token.to(tokens.dtype), tokens), dim=2)

    def _attend(
        self, query: Tensor, bias: Tensor | None, key: Tensor, value: Tensor, k_grid: Grid
    ) -> Tensor:
        """Softmax attention with relative positions, ``(B, heads, R, d)``."""
        if bias is None:
            return F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        places = key_places(k_grid, int(self.with_cls_token), like=bias)
        key = torch.cat((key * self.scale, places.expand(*key.shape[:2], -1, -1)), dim=-1)
        value = F.pad(value, (0, bias.shape[-1]))
        query = torch.cat((query, bias), dim=-1)
        out = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return out[..., : -bias.shape[-1]]

    def _query_bias(self, query: Tensor, q_grid: Grid, k_grid: Grid) -> Tensor:
        """Relative position bias of each query for each coordinate that a key may have.

        Returns:
            ``(B, heads, 1 + M, R)``: for the key's t, then h, then w; then zeros, so that query and
            bias together have a multiple of 8 numbers. The class token's row is zero.
        """
        parts = []
        for axis, table in enumerate((self.rel_pos_t, self.rel_pos_h, self.rel_pos_w)):
            rows = resize_decomposed_rel_pos(table, q_grid[axis], k_grid[axis])
            rows = rows.to(query.dtype).transpose(1, 2)  # (side, d, side of keys)
            part = torch.bmm(self._along(query, q_grid, axis), rows)
            others = [side for i, side in enumerate(q_grid) if i != axis]
            part = part.unflatten(1, (*query.shape[:2], *others))
            parts.append(part.movedim(0, 2 + axis))
        bias = torch.cat(parts, dim=-1).flatten(2, 4)
        unused = -(query.shape[-1] + bias.shape[-1]) % 8
        return F.pad(bias, (0, unused, int(self.with_cls_token), 0))

    def _along(self, query: Tensor, grid: Grid, axis: int) -> Tensor:
        """Patch queries grouped by coordinate on an axis: ``(side, B * heads * others, d)``."""
        patches = self._split_class_token(query)[1].unflatten(2, grid)
        return patches.movedim(2 + axis, 0).flatten(1, -2)


def pooled_grid(pool: nn.Conv3d, grid: Grid) -> Grid:
    """Token grid ``(t, h, w)`` after a pooling convolution over ``grid``."""
    sizes = zip(grid, pool.kernel_size, pool.stride, pool.padding, strict=True)
    t, h, w = ((side + 2 * pad - kernel) // stride + 1 for side, kernel, stride, pad in sizes)
    return t, h, w


def seen_places(pool: nn.Conv3d, axis: int, side: int, device: torch.device) -> Tensor:
    """Positions, in ``range(side)``, that a pooling convolution reads along an axis.

    A convolution whose stride exceeds its kernel skips some. On the others alone, with the kernel's
    size as its stride, it gives the same result.
    """
    kernel, stride, padding = pool.kernel_size[axis], pool.stride[axis], pool.padding[axis]
    if stride <= kernel:
        return torch.arange(side, device=device)
    count = (side + 2 * padding - kernel) // stride + 1
    starts = torch.arange(-padding, side + padding, stride, device=device)[:count]
    places = (starts[:, None] + torch.arange(kernel, device=device)).flatten()
    beyond = max((count - 1) * stride + kernel - padding - side, 0)
    return places[padding : count * kernel - beyond]


def cell_numbers(places: Sequence[Tensor], grid: Grid) -> Tensor:
    """Flat indices of the cells of a grid at the given positions of each axis."""
    t, h, w = places
    return ((t[:, None, None] * grid[1] + h[:, None]) * grid[2] + w).flatten()


def key_places(grid: Grid, num_class: int, like: Tensor) -> Tensor:
    """One-hot coordinates of the keys, ``(num_class + t * h * w, R)``; zeros for class tokens.

    Args:
        grid: Token grid ``(t, h, w)`` of the keys.
        num_class: Number of class tokens, which have no coordinates.
        like: Tensor whose last axis, dtype and device the result gets.
    """
    coordinates = torch.cartesian_prod(*(torch.arange(side, device=like.device) for side in grid))
    coordinates[:, 1] += grid[0]
    coordinates[:, 2] += grid[0] + grid[1]
    places = like.new_zeros(len(coordinates), like.shape[-1]).scatter_(1, coordinates, 1)
    return F.pad(places, (0, 0, num_class, 0))
