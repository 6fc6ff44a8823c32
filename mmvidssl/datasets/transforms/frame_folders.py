"""Transforms that read the frames and masks of a sequence (DAVIS)."""

from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from PIL import Image

from mmvidssl.registry import TRANSFORMS

from ..readers.image import ImageError, read_image


@TRANSFORMS.register_module()
class LoadFrames(BaseTransform):
    """Read all frames of a sequence, resized as DINO does for DAVIS: bilinear, without smoothing.

    **Required Keys:** img_paths (list of str)

    **Added Keys:** frames (uint8 RGB tensor ``(T, 3, H, W)``), img_shape (H, W), ori_shape (of the
    files)

    Args:
        short_side: Pixels of the shorter side after resizing.
        divisor: The long side, scaled in proportion, is rounded down to a multiple of this, but not
            below the short side.
    """

    def __init__(self, short_side: int = 480, divisor: int = 64) -> None:
        self.short_side, self.divisor = short_side, divisor

    def transform(self, results: dict) -> dict:
        """Read one sequence.

        Raises:
            ImageError: If a frame cannot be read; names it.
            ValueError: If a frame has another size than the first; names it.
        """
        images: list[np.ndarray] = []
        for path in results['img_paths']:
            image = read_image(path)
            shape = image.shape[:2] if not images else results['ori_shape']
            if image.shape[:2] != shape:
                raise ValueError(
                    f'{path} is {image.shape[:2]} (H, W), but the first frame is {shape}'
                )
            results['ori_shape'] = shape
            results['img_shape'] = self._resized(*shape)
            images.append(cv2.resize(image, results['img_shape'][::-1]))
        results['frames'] = torch.stack([torch.from_numpy(i).permute(2, 0, 1) for i in images])
        return results

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        short, long = sorted((height, width))
        long = self.short_side * long // short // self.divisor * self.divisor
        long = max(long, self.short_side)
        return (long, self.short_side) if height > width else (self.short_side, long)


@TRANSFORMS.register_module()
class LoadObjectMasks(BaseTransform):
    """Read all masks of a sequence of DAVIS: indexed PNGs of ids, or masks of one object.

    **Required Keys:** seg_paths (list of str), ori_shape

    **Added Keys:** masks (uint8 tensor of ids ``(T, H, W)``, 0 background, 255 void)
    """

    def transform(self, results: dict) -> dict:
        """Read one sequence.

        Raises:
            FileNotFoundError, ImageError: If a mask cannot be read; names it.
            ValueError: If a mask has another size than the frames, or an id that the first one has
                not, or if the first one has none; names it.
        """
        masks: list[np.ndarray] = []
        known: set[int] = set()
        for path in results['seg_paths']:
            mask = read_object_mask(path)
            if mask.shape != results['ori_shape']:
                raise ValueError(f'{path} is {mask.shape}, but its frame is {results["ori_shape"]}')
            ids = set(np.unique(mask).tolist()) - {0, 255}
            known = known or ids
            if not known or ids - known:
                raise ValueError(
                    f'{path} has the ids {sorted(ids)}; the first mask must have an object, and '
                    f'the others no ids but its {sorted(known)}'
                )
            masks.append(mask)
        results['masks'] = torch.from_numpy(np.stack(masks))
        return results


def read_object_mask(path: str | Path) -> np.ndarray:
    """Read object ids ``(H, W)`` of an indexed PNG, or 0 and 1 of a grey one (0 and 255, or 1).

    Raises:
        FileNotFoundError, ImageError: If it cannot be read.
        ValueError: If it has neither a palette nor only two grey values.
    """
    try:
        with Image.open(path) as image:
            values = np.array(image)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError) as error:
        raise ImageError(f'not an image, get it again: {path}') from error
    if image.mode == 'P':
        return values
    grey = values[..., 0] if image.mode == 'LA' else values
    if grey.ndim != 2 or not np.isin(grey, (0, 1, 255)).all():
        raise ValueError(
            f'{path} (mode {image.mode}) has lost its palette, whose numbers are the ids of '
            'objects; get it again, or save it as an indexed PNG'
        )
    return (grey > 0).astype(np.uint8)
