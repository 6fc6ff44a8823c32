"""What the shapes of an MViT's weights say about its architecture."""

from collections.abc import Mapping

from torch import Tensor


def describe_mvit(backbone: Mapping[str, Tensor]) -> dict:
    """What a config must say for these weights to fit.

    Args:
        backbone: Weights in mmaction2's names, relative positions among them.

    Returns:
        ``arch`` and ``dim_mul_in_attention`` as mmaction2's ``MViT`` takes them, and
        ``token_grid``, the tokens ``(t, h, w)`` of the first block. Blocks that pool their queries
        are looked for among those that grow the width, as in all MViTv2; where several of these
        follow one another directly, an earlier one may be named for a later one.
    """
    depth = 1 + max(int(key.split('.')[1]) for key in backbone if key.startswith('blocks.'))
    blocks = [f'blocks.{index}.' for index in range(depth)]
    widths = [len(backbone[block + 'norm1.weight']) for block in blocks]
    attention_widths = [len(backbone[block + 'attn.qkv.weight']) // 3 for block in blocks]
    dim_mul = [i for i in range(1, depth) if attention_widths[i] > attention_widths[i - 1]]
    sides = [_side(backbone, block, 'h') for block in blocks]
    arch = dict(
        embed_dims=widths[0],
        num_layers=depth,
        num_heads=attention_widths[0] // len(backbone['blocks.0.attn.pool_q.weight']),
        downscale_indices=_find_pooled(sides, dim_mul),
        dim_mul_indices=dim_mul,
    )
    return dict(
        arch=arch,
        dim_mul_in_attention=widths != attention_widths,
        token_grid=tuple(_side(backbone, 'blocks.0.', axis) for axis in 'thw'),
    )


def _side(backbone: Mapping[str, Tensor], block: str, axis: str) -> int:
    """The larger of the block's query and key grids along one axis, from ``2 * side - 1``."""
    return (len(backbone[f'{block}attn.rel_pos_{axis}']) + 1) // 2


def _find_pooled(sides: list[int], candidates: list[int]) -> list[int]:
    """Blocks that put out fewer tokens than they take in.

    A block whose keys are not pooled shows the side of its input, so that the next block is looked
    at too.
    """
    pooled, now = [], sides[0]
    for index in candidates:
        after = min(sides[index : index + 2])
        if after < now:
            pooled.append(index)
            now = after
    return pooled
