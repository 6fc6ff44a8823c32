"""Reading the frames and masks of a sequence."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from PIL import Image, UnidentifiedImageError

from mmvidssl.registry import TRANSFORMS
from mmvidssl.structures import VidSSLDataSample

from ..readers.image import ImageError, read_image

VOID = 255


@TRANSFORMS.register_module()
class LoadFrames(BaseTransform):
    """Read all frames of a sequence, resized as DINO does for DAVIS: bilinear, without smoothing.

    **Required Keys:** img_paths (list of str)

    **Added Keys:** frames (uint8 RGB tensor ``(T, 3, H, W)``), ori_shape (H, W of the files)

    Args:
        short_side: Pixels.
        divisor: The long side, in proportion, is rounded down to a multiple of it.
    """

    def __init__(self, short_side: int = 480, divisor: int = 64) -> None:
        self.short_side, self.divisor = short_side, divisor

    def transform(self, results: dict) -> dict:
        """Read one sequence.

        Raises:
            ImageError: If a frame cannot be read; names it.
            ValueError: If a frame has another size than the first; names it.
        """
        frames: list[torch.Tensor] = []
        shape = (0, 0)
        for path in results['img_paths']:
            image = read_image(path)
            if not frames:
                shape = image.shape[:2]
                long_side = self.short_side * max(shape) / min(shape) // self.divisor * self.divisor
                long_side = max(int(long_side), self.short_side)
                size = (
                    (self.short_side, long_side)
                    if shape[0] > shape[1]
                    else (long_side, self.short_side)
                )
            if image.shape[:2] != shape:
                raise ValueError(
                    f'{path} is of {image.shape[:2]}, but the first frame of {shape} (H, W)'
                )
            frames.append(torch.from_numpy(cv2.resize(image, size)).permute(2, 0, 1))
        return {**results, 'frames': torch.stack(frames), 'ori_shape': shape}


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
            ValueError: If a mask has another size than the frames, no ids, or an id that the first
                has not; names it.
        """
        masks: list[np.ndarray] = []
        known: set[int] = set()
        for path in results['seg_paths']:
            mask = read_object_mask(path)
            if mask.shape != results['ori_shape']:
                raise ValueError(f'{path} is of {mask.shape}, its frame of {results["ori_shape"]}')
            ids = set(np.unique(mask).tolist()) - {0, VOID}
            known = known or ids
            if not known or ids - known:
                raise ValueError(
                    f'{path} has the ids {sorted(ids)}; the first frame must have an object, and '
                    f'others no more than its {sorted(known)}'
                )
            masks.append(mask)
        return {**results, 'masks': torch.from_numpy(np.stack(masks))}


def read_object_mask(path: str) -> np.ndarray:
    """Ids ``(H, W)`` of an indexed PNG, or 0 and 1 of a grey one with 0 and 255 (or 1).

    Raises:
        FileNotFoundError, ImageError: If it cannot be read.
        ValueError: If it has neither a palette nor only two grey values.
    """
    try:
        with Image.open(path) as image:
            values = np.array(image)
            if image.mode == 'P':
                return values
    except (UnidentifiedImageError, SyntaxError) as error:
        raise ImageError(f'not an image, get it again: {path}') from error
    grey = values[..., 0] if image.mode == 'LA' else values
    if grey.ndim != 2 or not np.isin(grey, (0, 1, 255)).all():
        raise ValueError(
            f'{path} (mode {image.mode}) has lost its palette, whose numbers are the ids of '
            'objects; get it again, and save it as an indexed PNG'
        )
    return (grey > 0).astype(np.uint8)


@TRANSFORMS.register_module()
class PackFrames(BaseTransform):
    """Turn a sequence into inputs and a data sample.

    **Required Keys:** frames, name, and of ``keys`` and ``meta_keys`` those that are there

    **Added Keys:** inputs (the frames), data_samples (:class:`VidSSLDataSample`)

    **Deleted Keys:** all others

    Args:
        keys: Of tensors to keep as data.
        meta_keys: What to keep as meta information, besides ``name`` and ``img_shape`` (of the
            frames as they are put in).
    """

    def __init__(
        self,
        keys: Sequence[str] = ('masks',),
        meta_keys: Sequence[str] = ('img_paths', 'ori_shape', 'boxes', 'visible'),
    ) -> None:
        self.keys, self.meta_keys = tuple(keys), ('name', *meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack one sequence."""
        frames = results['frames']
        meta = {key: results[key] for key in self.meta_keys if key in results}
        sample = VidSSLDataSample(metainfo=dict(meta, img_shape=tuple(frames.shape[2:])))
        for key in self.keys:
            if key in results:
                sample.set_data({key: results[key]})
        return dict(inputs=frames, data_samples=sample)
