"""What several tests of the quickstart look at."""

import cv2
import numpy as np
import pytest


@pytest.fixture
def davis(tmp_path):
    """Two sequences of 50 frames of 64 x 128; the object fills the left half for 40 of them."""
    for name, columns in dict(half=64, all=128).items():
        for part in ('JPEGImages', 'Annotations'):
            (tmp_path / part / '480p' / name).mkdir(parents=True)
        for i in range(50):
            mask = np.zeros((64, 128), np.uint8)
            mask[:, : columns if i < 40 else 0] = 255
            cv2.imwrite(str(tmp_path / f'JPEGImages/480p/{name}/{i:05}.jpg'), mask)
            cv2.imwrite(str(tmp_path / f'Annotations/480p/{name}/{i:05}.png'), mask)
    return tmp_path
