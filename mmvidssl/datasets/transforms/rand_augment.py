"""RandAugment for mmaction2's pipelines, the same for all frames of a clip."""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, ImageOps

from mmvidssl.registry import TRANSFORMS

from . import functional as F
from .base import check_prob, generator_of

MAX_LEVEL = 10.0
BOXES = ('gt_bboxes', 'proposals')
FILL = (128, 128, 128)  # RGB of pixels from outside the frame
VALUES = np.arange(256)

# From (frame, strength in [0, 1], sign) to the changed frame, uint8 RGB (H, W, 3).
Op = Callable[[np.ndarray, float, int], np.ndarray]
# From (amount, (height, width) of the frame) to the inverse 2 x 3 map of pixel coordinates.
Matrix = Callable[[float, tuple[int, ...]], list[list[float]]]


@TRANSFORMS.register_module()
class ClipRandAugment(BaseTransform):
    """Apply a few randomly chosen operations, each with a random strength, to a whole clip.

    ``rand-m7-mstd0.5-inc1`` in timm's words: of its 15 operations of increasing strength
    ``num_ops`` are drawn with replacement; each is applied with probability ``prob``, at a level
    drawn around ``magnitude`` (10 is the most), in a random direction. mmaction2 takes this from
    pytorchvideo, which no longer imports; in its pipelines, write ``mmvidssl.ClipRandAugment``.

    **Required Keys:** imgs (list of uint8 RGB ``(H, W, 3)``)

    **Modified Keys:** imgs

    Differs from the reference: cubic interpolation is OpenCV's.

    Args:
        magnitude: Mean level, 0 to 10.
        magnitude_std: Standard deviation of the level; levels are clipped to 0..10.
        num_ops: How many operations are drawn.
        prob: Probability that a drawn operation is applied.

    Source: Cubuk et al., 2020; timm, ``_RAND_INCREASING_TRANSFORMS``; PySlowFast, ``AUG.AA_TYPE``.
    """

    REMOVED = dict(
        interpolation='frames are moved with bicubic interpolation',
        fill='what frames are moved from is filled with gray, (128, 128, 128)',
    )

    def __init__(
        self,
        magnitude: float = 7,
        magnitude_std: float = 0.5,
        num_ops: int = 2,
        prob: float = 0.5,
    ) -> None:
        if not 0 <= magnitude <= MAX_LEVEL:
            raise ValueError(f'magnitude must be in [0, {MAX_LEVEL:g}], got {magnitude}')
        if magnitude_std < 0 or num_ops < 0:
            raise ValueError(
                f'magnitude_std and num_ops must be at least 0, got {magnitude_std} and {num_ops}'
            )
        self.magnitude = magnitude
        self.magnitude_std = magnitude_std
        self.num_ops = num_ops
        self.prob = check_prob('prob', prob)
        self.ops = make_ops()

    def transform(self, results: dict) -> dict:
        """Augment ``results['imgs']``.

        Raises:
            ValueError: if there are boxes, which would stay where they are.
        """
        boxes = [key for key in BOXES if key in results]
        if boxes:
            raise ValueError(
                f'ClipRandAugment moves pixels but not boxes, and the results hold {boxes}; take '
                'it out of the pipeline of a detector'
            )
        frames = list(results['imgs'])
        for name, strength, sign in self.draw(generator_of(results)):
            frames = [self.ops[name](frame, strength, sign) for frame in frames]
        results['imgs'] = frames
        return results

    def draw(self, rng: np.random.Generator) -> list[tuple[str, float, int]]:
        """Draw the operations to apply: name, strength in [0, 1], direction -1 or 1."""
        names = list(self.ops)
        drawn = []
        for index in rng.integers(len(names), size=self.num_ops):
            level = np.clip(rng.normal(self.magnitude, self.magnitude_std), 0, MAX_LEVEL)
            op = (names[index], float(level / MAX_LEVEL), int(rng.choice((-1, 1))))
            if rng.random() < self.prob:
                drawn.append(op)
        return drawn


def make_ops(interpolation: int = cv2.INTER_CUBIC) -> dict[str, Op]:
    """The operations by name; geometric ones with one of OpenCV's interpolations."""

    def move(matrix: Matrix, limit: float) -> Op:
        return partial(_move, matrix=matrix, limit=limit, interpolation=interpolation)

    return {
        'AutoContrast': partial(_with_pillow, op=ImageOps.autocontrast),
        'Equalize': partial(_with_pillow, op=ImageOps.equalize),
        'Invert': lambda frame, strength, sign: _look_up(frame, 255 - VALUES),
        'Rotate': move(_rotation, 30.0),
        'Posterize': lambda frame, strength, sign: posterize(frame, 4 - int(4 * strength)),
        'Solarize': lambda frame, strength, sign: F.solarize(frame, 256 - int(256 * strength)),
        'SolarizeAdd': lambda frame, strength, sign: solarize_add(frame, int(110 * strength)),
        'Color': partial(_enhance, adjust=F.adjust_saturation),
        'Contrast': partial(_enhance, adjust=F.adjust_contrast),
        'Brightness': partial(_enhance, adjust=F.adjust_brightness),
        'Sharpness': partial(_enhance, adjust=adjust_sharpness),
        'ShearX': move(lambda shear, size: [[1, shear, shear / 2], [0, 1, 0]], 0.3),
        'ShearY': move(lambda shear, size: [[1, 0, 0], [shear, 1, shear / 2]], 0.3),
        'TranslateX': move(lambda share, size: [[1, 0, share * size[1]], [0, 1, 0]], 0.45),
        'TranslateY': move(lambda share, size: [[1, 0, 0], [0, 1, share * size[0]]], 0.45),
    }


def _with_pillow(frame: np.ndarray, strength: float, sign: int, op: Callable) -> np.ndarray:
    return np.array(op(Image.fromarray(frame)))


def _enhance(frame: np.ndarray, strength: float, sign: int, adjust: Callable) -> np.ndarray:
    return adjust(frame, 1 + sign * 0.9 * strength)


def _rotation(degrees: float, size: tuple[int, ...]) -> list[list[float]]:
    centre = ((size[1] - 1) / 2, (size[0] - 1) / 2)
    return cv2.getRotationMatrix2D(centre, degrees, 1.0).tolist()


def _move(
    frame: np.ndarray,
    strength: float,
    sign: int,
    matrix: Matrix,
    limit: float,
    interpolation: int,
) -> np.ndarray:
    return cv2.warpAffine(
        frame,
        np.array(matrix(sign * limit * strength, frame.shape), dtype=float),
        (frame.shape[1], frame.shape[0]),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderValue=FILL,
    )


def _look_up(frame: np.ndarray, table: np.ndarray) -> np.ndarray:
    """``table[frame]``, of a table ``(256,)``."""
    return cv2.LUT(np.ascontiguousarray(frame), np.clip(table, 0, 255).astype(np.uint8)[None])


def posterize(frame: np.ndarray, num_bits: int) -> np.ndarray:
    """Keep the ``num_bits`` highest bits of each value."""
    return _look_up(frame, VALUES & -(2 ** (8 - num_bits)))


def solarize_add(frame: np.ndarray, added: int, threshold: int = 128) -> np.ndarray:
    """Add to the values below ``threshold``."""
    return _look_up(frame, np.where(threshold > VALUES, VALUES + added, VALUES))


def adjust_sharpness(frame: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the smoothed frame: a factor of 0 gives that, 1 the frame. Borders are kept."""
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    smooth = frame.copy()
    smooth[1:-1, 1:-1] = cv2.filter2D(frame, -1, kernel)[1:-1, 1:-1]
    return cv2.addWeighted(frame, factor, smooth, 1 - factor, 0)
