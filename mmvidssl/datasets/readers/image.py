"""Reading an image."""

from pathlib import Path

import cv2
import numpy as np

from .errors import describe_start


class ImageError(OSError):
    """An image cannot be read; the message names the file."""


def read_image(path: str) -> np.ndarray:
    """An image file as uint8 RGB ``(H, W, 3)``; a rotation in the EXIF data is ignored.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: the file is empty, no image, or broken.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f'no such image: {path} (checked {Path(path).absolute()})')
    data = np.fromfile(path, dtype=np.uint8)
    if data.size == 0:
        raise ImageError(f'the image has 0 bytes, get it again: {path}')
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        what = describe_start(data[:64].tobytes())
        why = f'but {what}' if what else 'damaged, or of a kind OpenCV does not know'
        raise ImageError(f'not an image, {why}: {path}')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
