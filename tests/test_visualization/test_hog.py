"""Pictures of histograms of oriented gradients: strokes lie along edges."""

import math

import numpy as np
import pytest
import torch

from mmvidssl.models.target_generators import HOGGenerator
from mmvidssl.visualization import draw_hog

SIZE = 32


def edge(degrees):
    """A frame, dark on one side of a line through its middle, degrees counterclockwise."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    angle = math.radians(degrees)
    distance = math.sin(angle) * x + math.cos(angle) * y  # from the line; y points down
    return np.clip(distance + 0.5, 0, 1)


def direction(picture):
    """Degrees of the longest axis of what is bright, counterclockwise from the horizontal."""
    y, x = np.nonzero(picture > 127)
    covariance = np.cov(np.stack((x, -y)))
    dx, dy = np.linalg.eigh(covariance)[1][:, -1]
    return math.degrees(math.atan2(dy, dx))


@pytest.mark.parametrize('signed', [False, True])
@pytest.mark.parametrize('degrees', [0, 20, 45, 70, 90, 110, 135, 160])
def test_strokes_lie_along_the_edge(degrees, signed):
    frame = edge(degrees)
    frames = torch.from_numpy(np.stack((frame, 1 - frame))).float()  # dark on either side
    bins = dict(nbins=18 if signed else 9, signed=signed)
    generator = HOGGenerator(patch_size=SIZE, cell_size=SIZE, **bins)
    cells = generator.cells(frames[:, None].expand(-1, 3, -1, -1))
    histograms = cells.mean(dim=1).permute(0, 2, 3, 1).numpy()
    drawn = draw_hog(histograms, cell_size=64, signed=signed)
    assert drawn.shape == (2, 64, 64) and drawn.dtype == np.uint8
    for picture in drawn:
        off = (direction(picture) - degrees + 90) % 180 - 90
        assert abs(off) <= 11  # half a bin, and pixels


def test_each_cell_is_drawn_in_its_place_as_bright_as_its_bin():
    histograms = np.zeros((2, 3, 4, 9), np.float32)
    histograms[1, 2, 0, 4] = 0.5  # vertical edges
    histograms[1, 0, 3, 4] = 7
    histograms[0, 0, 0] = -1
    drawn = draw_hog(histograms, cell_size=10)
    assert drawn.shape == (2, 30, 40) and not drawn[0].any()
    assert drawn[1, 20:, :10].max() == pytest.approx(128, abs=1) and drawn[1, :10, 30:].max() == 255
    drawn[1, 20:, :10] = drawn[1, :10, 30:] = 0
    assert not drawn.any()
    with pytest.raises(ValueError, match=r'\(9,\)'):
        draw_hog(np.zeros(9))
