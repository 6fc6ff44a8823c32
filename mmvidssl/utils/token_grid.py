"""The token grid on which the positions of a ViT in a checkpoint were learned.

Position embeddings are saved flat, ``(1, N, D)``: 196 may be of 14 x 14 patches or of 7 x 28. The
config in a run's checkpoint tells which. The grid is kept as an attribute of the tensor
(``tensor.token_grid``), so that it goes wherever the tensor goes.
"""

import ast
import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

Grid = tuple[int, int]


def note_token_grid(weights: Mapping[str, Any], meta: Any) -> None:
    """Set ``token_grid``, ``(h, w)``, on the positions of a checkpoint, if its config tells it.

    Args:
        weights: Weights of the checkpoint, by name.
        meta: Its ``meta``: ``cfg`` of a training checkpoint, ``config`` of a published one.
    """
    meta = meta if isinstance(meta, Mapping) else {}
    grid = grid_of_config(meta.get('cfg') or meta.get('config'))
    if grid is None or not isinstance(weights, Mapping):
        return
    for name, value in weights.items():
        is_row = name.split('.')[-1] == 'pos_embed' and isinstance(value, Tensor)
        if is_row and value.ndim == 3 and value.shape[1] - math.prod(grid) in (0, 1):  # class token
            value.token_grid = grid


def grid_of_config(text: Any) -> Grid | None:
    """Token grid of the backbone in the text of a config, which is parsed, not executed."""
    try:
        statements = ast.parse(text).body
    except (SyntaxError, TypeError, ValueError):
        return None
    options: dict[str, ast.expr] = {
        target.id: statement.value
        for statement in statements
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    model = _entries(options.get('model'))
    model = _entries(model.get('module')) or model  # of test-time augmentation
    backbone = _entries(model.get('backbone'))
    sizes = []
    for key, default in (('img_size', 224), ('patch_size', 16)):  # mmpretrain's
        try:
            size = ast.literal_eval(backbone[key]) if key in backbone else default
        except ValueError:
            return None
        size = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
        if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
            return None
        sizes.append(size)
    (height, width), (patch_h, patch_w) = sizes
    return (height // patch_h, width // patch_w) if backbone else None


def _entries(node: ast.expr | None) -> dict[str, ast.expr]:
    """Entries of ``dict(key=...)``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    return {}


def fit_positions(vit: nn.Module, positions: Tensor) -> Tensor:
    """Resize the positions of a file to the grid of one of mmpretrain's ViTs, if theirs is known.

    Raises:
        ValueError: if their number of patches differs and is no square, and no grid is known.
    """
    target: Grid = tuple(vit.patch_embed.init_out_size)
    source = getattr(positions, 'token_grid', None)
    if source is None:
        own, number = vit.pos_embed.shape[1], positions.shape[1] - vit.num_extra_tokens
        fits = positions.shape[1] in (own, own if vit.with_cls_token else own + 1)
        if not fits and math.isqrt(number) ** 2 != number:
            raise ValueError(
                f'the file has positions of {number} patches, which is no square, and no config '
                f'that tells the size of the images; the model has {target[0]} x {target[1]}. Set '
                'img_size of the backbone to that of pretraining'
            )
        return positions
    if source == target:
        return positions
    extra = positions.shape[1] - math.prod(source)
    return vit.resize_pos_embed(positions, source, target, vit.interpolate_mode, extra)
