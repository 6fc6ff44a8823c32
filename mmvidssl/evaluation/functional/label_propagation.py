"""Label propagation from a video's first frame by feature similarity (DINO, section 4.2.2)."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 10  # tokens per side; larger tiles are compared with more tokens that are out of reach


class _Tile(NamedTuple):
    """Tokens of a frame compared at once, and the tokens in reach of any of them."""

    rows: slice
    columns: slice
    near_rows: slice
    near_columns: slice
    is_far: Tensor  # (Q, K): True where a key is out of reach of a query


def propagate_labels(
    features: Tensor,
    first_labels: Tensor,
    num_context: int,
    radius: int,
    topk: int,
    temperature: float,
) -> Tensor:
    """Propagate the labels of the first frame; returns soft labels of the frames after it.

    A token gets the mean of the labels of the ``topk`` most similar tokens, weighted by
    ``exp(cosine / temperature)``, among those at most ``radius`` rows and columns away in the first
    frame and in the ``num_context`` frames before its own. Tokens as similar as the last of the
    ``topk`` count as well, as in DINO's released code, which gives the same results.

    Memory holds the ``1 + num_context`` frames that labels come from, in overlapping strips, and
    the similarities of one tile's tokens to those in reach, never those of all tokens to all.

    Args:
        features: ``(T, h*w, D)``; L2-normalised here.
        first_labels: ``(C, h, w)``, shares of the classes, which add up to 1.
        num_context: Previous frames that labels come from, besides the first.
        radius: In tokens, at least 1; as large as the grid for no limit.
        topk: Number of neighbours.
        temperature: Temperature of the weights, positive.

    Returns:
        ``(T - 1, C, h, w)``, of the features' type and device; an array for arrays.

    Raises:
        ValueError: If shapes or numbers do not fit.
    """
    if isinstance(features, np.ndarray):
        given = torch.from_numpy(features), torch.as_tensor(first_labels)
        return propagate_labels(*given, num_context, radius, topk, temperature).numpy()
    shapes = tuple(features.shape), tuple(first_labels.shape)
    if [*map(len, shapes)] != [3, 3] or features.shape[1] != first_labels[0].numel():
        raise ValueError(
            f'features must be (T, h*w, D) and labels (C, h, w), got {shapes[0]} and {shapes[1]}'
        )
    if num_context < 0 or radius < 1 or topk < 1 or temperature <= 0:
        raise ValueError(
            'num_context must be at least 0, radius and topk at least 1, temperature positive; '
            f'got {num_context}, {radius}, {topk} and {temperature}'
        )
    _, h, w = first_labels.shape
    grid = features.unflatten(1, (h, w))
    slots = min(1 + num_context, len(grid))
    columns = [
        [_make_tile(rows, columns, (h, w), radius, grid.device) for rows in _cut(h)]
        for columns in _cut(w)
    ]
    strips = [grid.new_empty(slots, *grid[0, :, tiles[0].near_columns].shape) for tiles in columns]
    labels = grid.new_empty(slots, h, w, len(first_labels))
    out = grid.new_empty(len(grid), h, w, len(first_labels))
    out[0] = first_labels.permute(1, 2, 0)
    frame = F.normalize(grid[0], dim=-1)
    for time in range(1, len(grid)):
        if time == 1 or num_context:  # the previous frame replaces the oldest, never the first
            slot = 0 if time == 1 else 1 + (time - 2) % num_context
            labels[slot] = out[time - 1]
            for strip, tiles in zip(strips, columns, strict=True):
                strip[slot] = frame[:, tiles[0].near_columns]
        frame = F.normalize(grid[time], dim=-1)
        filled = min(time, slots)
        for strip, tiles in zip(strips, columns, strict=True):
            for tile in tiles:
                queries = frame[tile.rows, tile.columns]
                keys = strip[:filled, tile.near_rows].flatten(1, 2)  # (S, K, D), not copied
                likeness = torch.bmm(
                    queries.flatten(0, 1).expand(filled, -1, -1), keys.transpose(1, 2)
                ).masked_fill_(tile.is_far, -torch.inf)
                near_labels = labels[:filled, tile.near_rows, tile.near_columns].flatten(1, 2)
                votes = _vote(likeness, near_labels, topk, temperature)
                out[time, tile.rows, tile.columns] = votes.view(*queries.shape[:2], -1)
    return out[1:].permute(0, 3, 1, 2)


def _cut(length: int) -> list[slice]:
    """Slices of about ``TILE`` that cover ``range(length)``."""
    count = max(1, round(length / TILE))
    edges = [length * i // count for i in range(count + 1)]
    return [slice(*pair) for pair in zip(edges[:-1], edges[1:], strict=True)]


def _make_tile(rows: slice, columns: slice, grid: tuple[int, int], radius: int, device) -> _Tile:
    near, far = [], []
    for part, length in zip((rows, columns), grid, strict=True):
        reach = slice(max(part.start - radius, 0), min(part.stop + radius, length))
        places = torch.arange(length, device=device)
        far.append((places[part, None] - places[None, reach]).abs() > radius)
        near.append(reach)
    is_far = far[0][:, None, :, None] | far[1][None, :, None, :]
    return _Tile(rows, columns, near[0], near[1], is_far.flatten(2).flatten(0, 1))


def _vote(likeness: Tensor, labels: Tensor, topk: int, temperature: float) -> Tensor:
    """``(S, Q, K)`` cosines, -inf out of reach, and ``(S, K, C)`` labels to ``(Q, C)``."""
    num_keys, labels = likeness.shape[2], labels.flatten(0, 1)
    best, index = likeness.topk(min(topk + 1, num_keys))  # of each frame, then of all
    index += num_keys * torch.arange(len(index), device=index.device).view(-1, 1, 1)
    best, index = best.transpose(0, 1).flatten(1), index.transpose(0, 1).flatten(1)
    best, order = best.topk(min(topk + 1, best.shape[1]))
    weights = ((best[:, :topk] - best[:, :1]) / temperature).exp()
    votes = torch.einsum('qk,qkc->qc', weights, labels[index.gather(1, order[:, :topk])])
    votes /= weights.sum(dim=1, keepdim=True)
    tied = (best[:, topk - 1 : topk] == best[:, topk:]).flatten().nonzero().flatten()
    if len(tied):  # as in frames that are copies of each other
        rows = likeness[:, tied].transpose(0, 1).flatten(1)
        weights = ((rows - best[tied, :1]) / temperature).exp()
        weights *= rows >= best[tied, topk - 1 : topk]
        votes[tied] = weights @ labels / weights.sum(dim=1, keepdim=True)
    return votes
