"""Overlays, tables and sheets of pictures, written as images and videos."""

import os
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import av
import cv2
import numpy as np

from mmvidssl.utils.atomic_file import atomic_path

# Okabe and Ito's colours, told apart by colour-blind readers too; RGB.
PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (204, 121, 167),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def overlay_masks(
    frames: np.ndarray,
    masks: np.ndarray,
    palette: tuple[tuple[int, int, int], ...] = PALETTE,
    opacity: float = 0.55,
) -> np.ndarray:
    """Paint each object's mask over the frames in its own colour.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        masks: ``(O, T, h, w)``: bool, True = on the object, or float in [0, 1], how strongly. Each
            is enlarged to the frame: token by token (nearest) if bool, smoothly if float.
        palette: RGB colours, taken in turn.
        opacity: Opacity of the paint where a mask is 1.

    Returns:
        ``(T, H, W, 3)`` uint8. Where objects overlap, the later one lies on top.

    Raises:
        ValueError: If frames or masks have another shape or type.
    """
    _check_frames(frames)
    masks = np.asarray(masks)
    if masks.ndim != 4 or masks.shape[1] != len(frames):
        raise ValueError(f'masks must be (objects, {len(frames)} frames, h, w), got {masks.shape}')
    return np.stack(
        [_paint(frame, masks[:, t], palette, opacity) for t, frame in enumerate(frames)]
    )


def _check_frames(frames: np.ndarray) -> None:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(
            f'frames must be uint8 (frames, height, width, 3), got {frames.dtype} {frames.shape}'
        )


def _paint(frame, masks, palette, opacity) -> np.ndarray:
    painted = frame.astype(np.float32)
    for i, mask in enumerate(masks):
        interpolation = cv2.INTER_NEAREST if mask.dtype == bool else cv2.INTER_CUBIC
        size = (frame.shape[1], frame.shape[0])
        alpha = cv2.resize(mask.astype(np.float32), size, interpolation=interpolation)
        alpha = opacity * alpha.clip(0, 1)[..., None]
        painted += alpha * (np.float32(palette[i % len(palette)]) - painted)
    return painted.round().astype(np.uint8)


def mask_grid(frames: np.ndarray, masks: np.ndarray, gap: int = 4) -> np.ndarray:
    """One picture of a tracked clip, with a column per frame.

    The rows are the frames, each object alone, and all objects together.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        masks: ``(O, T, h, w)``, as for :func:`overlay_masks`.
        gap: White pixels between pictures.

    Returns:
        ``((O + 2) * (H + gap) - gap, T * (W + gap) - gap, 3)`` uint8; one row fewer if ``O`` is 1.
    """
    rows = [frames]
    if len(masks) > 1:
        colours = [PALETTE[i % len(PALETTE)] for i in range(len(masks))]
        rows += [overlay_masks(frames, masks[i : i + 1], (c,)) for i, c in enumerate(colours)]
    rows.append(overlay_masks(frames, masks))
    return _tile(rows, gap)


def _tile(rows: Iterable[np.ndarray], gap: int) -> np.ndarray:
    """Rows of pictures ``(N, H, W, 3)`` as one picture."""
    margin = ((0, 0), (0, gap), (0, gap), (0, 0))
    rows = [np.concatenate(list(np.pad(r, margin, constant_values=255)), axis=1) for r in rows]
    return np.concatenate(rows)[: -gap or None, : -gap or None]


def picture_table(columns: Mapping[str, np.ndarray], gap: int = 4) -> np.ndarray:
    """Table of pictures: columns under their names, which are made to fit the columns' width.

    Args:
        columns: ``(N, H, W, 3)`` uint8 RGB, of one shape, by name.
        gap: White pixels between pictures.

    Returns:
        ``(28 + N * (H + gap) - gap, columns * (W + gap) - gap, 3)`` uint8.
    """
    return _under_names(list(columns), np.stack([*columns.values()], axis=1), gap)


def picture_sheet(
    names: Sequence[str], pictures: np.ndarray, columns: int, gap: int = 4
) -> np.ndarray:
    """Pictures ``(N, H, W, 3)`` uint8, each under its name, ``columns`` of them in a row."""
    missing = -len(pictures) % columns
    blank = np.full((missing, *pictures.shape[1:]), 255, np.uint8)
    rows = np.concatenate((pictures, blank)).reshape(-1, columns, *pictures.shape[1:])
    texts = [*names, *[''] * missing]
    parts = [
        np.pad(
            _under_names(texts[i * columns : (i + 1) * columns], row[None], gap),
            ((0, gap), (0, 0), (0, 0)),
            constant_values=255,
        )
        for i, row in enumerate(rows)
    ]
    return np.concatenate(parts)[: -gap or None]


def _under_names(names: Sequence[str], rows: np.ndarray, gap: int) -> np.ndarray:
    body, step = _tile(rows, gap), rows.shape[3] + gap
    header = np.full((28, body.shape[1], 3), 255, np.uint8)
    for i, name in enumerate(names):
        text, scale, width = _fit(name, rows.shape[3] - 2 * gap)
        left = i * step + (rows.shape[3] - width) // 2
        cv2.putText(header, text, (left, 20), FONT, scale, 0, 1, cv2.LINE_AA)
    return np.concatenate((header, body))


def _fit(name: str, most: int) -> tuple[str, float, int]:
    """Fit a name into ``most`` pixels: its text (middle left out if need be), scale and width."""
    text, kept = name, len(name)
    for scale in (0.6, 0.5, 0.4):
        if (width := cv2.getTextSize(text, FONT, scale, 1)[0][0]) <= most:
            return text, scale, width
    while width > most and kept > 2:
        kept -= 1
        text = f'{name[: kept // 2]}..{name[(kept // 2) - kept :]}'
        width = cv2.getTextSize(text, FONT, scale, 1)[0][0]
    return text, scale, width


def picture_strip(columns: Mapping[str, np.ndarray], max_rows: int = 8) -> np.ndarray:
    """:func:`picture_table` of ``max_rows`` rows at most, evenly spread."""
    rows = spread(len(next(iter(columns.values()))), max_rows)
    return picture_table({name: pictures[rows] for name, pictures in columns.items()})


def spread(count: int, most: int) -> np.ndarray:
    """``most`` evenly spaced indices of ``range(count)``, first and last included, or all."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(int)


def write_strip(path: str | os.PathLike, columns: Mapping[str, np.ndarray], fps: float) -> None:
    """Write columns of frames as a picture, ``<path>.png``, and as a video, ``<path>.mp4``.

    Args:
        path: Path of both files, without suffix.
        columns: As for :func:`picture_strip`; the ``N`` pictures of a column are frames in time.
        fps: Frames per second of the video.
    """
    write_image(f'{path}.png', picture_strip(columns))
    count = len(next(iter(columns.values())))
    rows = ({name: x[t : t + 1] for name, x in columns.items()} for t in range(count))
    write_video(f'{path}.mp4', np.stack([picture_table(row) for row in rows]), fps)


def heat_map(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Heat map, black at 0 to bright at 1: ``(..., h, w)`` -> ``(..., H, W, 3)`` uint8 RGB.

    Values are enlarged to ``size``, ``(H, W)``, without smoothing.
    """
    flat = (255 * values.reshape(-1, *values.shape[-2:]).clip(0, 1)).round().astype(np.uint8)
    drawn = [cv2.applyColorMap(enlarge(v, size), cv2.COLORMAP_INFERNO)[..., ::-1] for v in flat]
    return np.stack(drawn).reshape(*values.shape[:-2], *size, 3)


def enlarge(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge ``(h, w)`` or ``(h, w, 3)`` to ``size``, ``(H, W)``, without smoothing."""
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST)


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an ``(H, W, 3)`` uint8 RGB image; the suffix chooses the format."""
    with atomic_path(path) as temporary:
        if not cv2.imwrite(str(temporary), np.ascontiguousarray(image[..., ::-1])):
            raise OSError(f'could not write the picture {path}')


def write_video(path: str | os.PathLike, frames: np.ndarray, fps: float) -> None:
    """Write ``frames`` as H.264 (yuv420p, so an odd last row or column is repeated).

    Args:
        path: A ``.mp4`` file; written under a temporary name, then renamed.
        frames: ``(T, H, W, 3)`` uint8 RGB, at least one.
        fps: Frames per second.

    Raises:
        ValueError: If ``frames`` is empty or has another shape or type, or ``fps`` is not positive.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(
            f'frames must be uint8 (at least one frame, height, width, 3), '
            f'got {frames.dtype} {frames.shape}'
        )
    if fps <= 0:
        raise ValueError(f'fps must be positive, got {fps}')
    _, height, width, _ = frames.shape
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode='edge')
    with atomic_path(path) as temporary, av.open(os.path.abspath(temporary), 'w') as container:
        stream = container.add_stream('libx264', rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = 'yuv420p'
        stream.options = {'crf': '18'}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())
