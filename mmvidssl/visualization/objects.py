"""Pictures of how DoRA finds objects and follows them, and of what its student sees."""

from collections.abc import Sequence

import numpy as np

from .drawing import PALETTE, enlarge, heat_map, overlay_masks, picture_sheet

MAX_COLUMNS = 4


def attention_sheet(frame: np.ndarray, attention: np.ndarray, used: Sequence[int]) -> np.ndarray:
    """Sheet of a frame and each head's attention to its patches, scaled by :func:`brightness`.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB.
        attention: ``(heads, h, w)``.
        used: Indices of the heads that the objects are found with, in the order of the objects.
    """
    maps = heat_map(brightness(attention), frame.shape[:2])
    objects = {head: f' (object {i})' for i, head in enumerate(used, start=1)}
    names = [f'head {head}{objects.get(head, "")}' for head in range(len(maps))]
    pictures = np.concatenate((frame[None], maps))
    rows = -(-len(pictures) // MAX_COLUMNS)
    return picture_sheet(['first frame', *names], pictures, -(-len(pictures) // rows))


def assignment_sheet(
    frame: np.ndarray, before: np.ndarray, after: np.ndarray | None = None
) -> np.ndarray:
    """Sheet of the patches' assignment to objects: a row before and a row after Sinkhorn-Knopp.

    In a row's picture "all", the colours of the objects are mixed by their shares of a patch.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB.
        before: ``(O, h, w)``, shares that add up to 1.
        after: The same after Sinkhorn-Knopp; None if it is off.
    """
    names: list[str] = []
    pictures: list[np.ndarray] = []
    rows = {'before': before} if after is None else {'before': before, 'after': after}
    for row, shares in rows.items():
        palette = np.array([PALETTE[i % len(PALETTE)] for i in range(len(shares))])
        mixed = np.einsum('ohw,oc->hwc', shares, palette).round().clip(0, 255).astype(np.uint8)
        pictures += [frame, enlarge(mixed, frame.shape[:2]), *heat_map(shares, frame.shape[:2])]
        objects = [f'{row}: object {i + 1}' for i in range(len(shares))]
        names += ['first frame', f'{row}: all', *objects]
    return picture_sheet(names, np.stack(pictures), len(before) + 2)


def track_columns(frames: np.ndarray, maps: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """Columns for :func:`write_strip`: frames, and on grey each object's attention and the masks.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        maps: ``(O, T, h, w)``, attention; :func:`brightness` makes opacity of it.
        masks: ``(O, T, h, w)``, bool or weights.
    """
    grey = frames.mean(axis=-1, keepdims=True).astype(np.uint8).repeat(3, axis=-1)
    columns = {'frame': frames}
    for i, track in enumerate(brightness(maps)):
        colour = (PALETTE[i % len(PALETTE)],)
        columns[f'object {i + 1}'] = overlay_masks(grey, track[None], colour, 0.9)
    return {**columns, 'masks': overlay_masks(grey, masks)}


def brightness(maps: np.ndarray) -> np.ndarray:
    """Scale maps ``(..., h, w)`` to [0, 1]; 1 is the 98th percentile, as a few may be far above."""
    return (maps / np.maximum(np.percentile(maps, 98, axis=(-2, -1), keepdims=True), 1e-12)).clip(
        0, 1
    )


def view_columns(
    frames: np.ndarray, masks: np.ndarray, fill: Sequence[float] | np.ndarray
) -> dict[str, np.ndarray]:
    """Columns for :func:`write_strip`: frames, and each masked view of them that the student sees.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        masks: ``(V, T, h, w)``, True or 1 where the student sees.
        fill: RGB of the masked pixels.
    """
    colour, columns = np.array(fill, np.float32), {'frame': frames}
    for i, view in enumerate(masks.astype(np.float32), start=1):
        seen = np.stack([enlarge(mask, frames.shape[1:3]) for mask in view])[..., None]
        columns[f'student sees {i}'] = (colour + seen * (frames - colour)).round().astype(np.uint8)
    return columns
