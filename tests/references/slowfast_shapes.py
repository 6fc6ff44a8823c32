"""Names and shapes of the weights of PySlowFast's models of MaskFeat, block by block.

``maskfeat_small.json`` holds the real ones of a narrow model, which these are checked against.
"""

from collections.abc import Sequence

Shapes = dict[str, list[int]]
HOG: Shapes = {'hogs.0.weight_x': [3, 1, 3, 3], 'hogs.0.weight_y': [3, 1, 3, 3]}


def _affine(name: str, out: int, *into: int) -> Shapes:
    return {f'{name}.weight': [out, *into], f'{name}.bias': [out]}


def _pretraining_head(width: int, target: int) -> Shapes:
    return {
        **HOG,
        **_affine('pred_head.transforms.0.0', width),
        **_affine('pred_head.projections.0', target, width),
    }


def _classifier(width: int, num_classes: int) -> Shapes:
    return {**_affine('norm', width), **_affine('head.projection', num_classes, width)}


def mvit_shapes(
    width: int,
    depth: int,
    heads: int,
    widened: Sequence[int],
    pooled: Sequence[int],
    kv_stride: int = 8,
    grid: tuple[int, int] = (8, 56),
    num_classes: int | None = None,
) -> Shapes:
    """An MViTv2 whose width doubles before the blocks ``widened``, queries pooled in ``pooled``.

    Args:
        grid: Time steps and side of the token grid.
        num_classes: None for a pretraining model.
    """
    shapes = dict(cls_token=[1, 1, width])
    if num_classes is None:
        shapes['mask_token'] = [1, 1, width]
    shapes |= _affine('patch_embed.proj', width, 3, 3, 7, 7)
    steps, side = grid
    for index in range(depth):
        heads *= 2 if index in widened else 1
        stride = 2 if index in pooled else 1
        kv_stride = max(kv_stride // stride, 1)
        longest = max(side // stride, side // kv_stride)
        side //= stride
        out = width * 2 if index + 1 in widened else width
        shapes |= _block(f'blocks.{index}', width, out, width // heads, steps, longest)
        width = out
    head = _pretraining_head(width, 108) if num_classes is None else _classifier(width, num_classes)
    return shapes | head


def _block(name: str, width: int, out: int, head_dim: int, steps: int, side: int) -> Shapes:
    shapes = {
        **_affine(f'{name}.norm1', width),
        f'{name}.attn.rel_pos_h': [2 * side - 1, head_dim],
        f'{name}.attn.rel_pos_w': [2 * side - 1, head_dim],
        f'{name}.attn.rel_pos_t': [2 * steps - 1, head_dim],
        **_affine(f'{name}.attn.qkv', 3 * width, width),
        **_affine(f'{name}.attn.proj', width, width),
    }
    for part in 'qkv':
        shapes[f'{name}.attn.pool_{part}.weight'] = [head_dim, 1, 3, 3, 3]
        shapes |= _affine(f'{name}.attn.norm_{part}', head_dim)
    shapes |= _affine(f'{name}.norm2', width) | _affine(f'{name}.mlp.fc1', 4 * width, width)
    shapes |= _affine(f'{name}.mlp.fc2', out, 4 * width)
    return shapes if out == width else shapes | _affine(f'{name}.proj', out, width)


def vit_shapes(
    width: int, depth: int, num_patches: int = 196, patch: int = 16, num_classes: int | None = None
) -> Shapes:
    """A ViT of images; ``num_classes`` None for a pretraining model."""
    shapes = dict(cls_token=[1, 1, width], pos_embed=[1, num_patches + 1, width])
    if num_classes is None:
        shapes['mask_token'] = [1, 1, width]
    shapes |= _affine('patch_embed.proj', width, 3, patch, patch)
    for index in range(depth):
        name = f'blocks.{index}'
        shapes |= _affine(f'{name}.norm1', width) | _affine(f'{name}.norm2', width)
        shapes |= _affine(f'{name}.attn.qkv', 3 * width, width)
        shapes |= _affine(f'{name}.attn.proj', width, width)
        shapes |= _affine(f'{name}.mlp.fc1', 4 * width, width)
        shapes |= _affine(f'{name}.mlp.fc2', width, 4 * width)
    head = _pretraining_head(width, 108) if num_classes is None else _classifier(width, num_classes)
    return shapes | head
