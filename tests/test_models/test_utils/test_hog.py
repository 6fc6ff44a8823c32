"""The pure functions, against a loop over pixels and PyTorch's convolution."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmvidssl.models.utils.hog import gaussian_tiles, hog_cells, sobel
from tests.utils_model import noise

SIGNED = pytest.mark.parametrize('signed', [False, True])


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    """8-bit pixels, normalised as MaskFeat does: many neighbours are equal."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randint(0, 256, shape, generator=generator).float() - 114.75) / 57.375


def naive_cells(frame, nbins, cell_size, window=None, signed=False):
    """``(H, W)`` -> ``(nbins, h, w)``: pixel by pixel, in double precision."""
    height, width = frame.shape
    padded = F.pad(frame[None, None].double(), (1, 1, 1, 1), mode='reflect')[0, 0].tolist()
    cells = torch.zeros(nbins, height // cell_size, width // cell_size, dtype=torch.double)
    for row in range(height):
        for column in range(width):
            above, middle, below = (padded[row + k][column : column + 3] for k in range(3))
            gx = above[0] + 2 * middle[0] + below[0] - above[2] - 2 * middle[2] - below[2]
            gy = above[0] + 2 * above[1] + above[2] - below[0] - 2 * below[1] - below[2]
            vote = math.hypot(gx, gy) * (1 if window is None else window[row, column].item())
            turn = 2 * math.pi if signed else math.pi
            phase = (math.atan2(gx, gy) % turn) / turn * nbins
            cell = cells[:, row // cell_size, column // cell_size]
            cell[int(phase) % nbins] += vote
    return cells


def test_sobel_rounds_like_the_convolution():
    weight = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]).view(1, 1, 3, 3)
    for planes in (noise(2, 1, 40, 56), pictures(3, 1, 64, 48)):
        padded = F.pad(planes, (1, 1, 1, 1), mode='reflect')
        gx, gy = sobel(planes)
        assert torch.equal(gx, F.conv2d(padded, weight))
        assert torch.equal(gy, F.conv2d(padded, weight.mT))


@SIGNED
def test_equals_the_loop_over_pixels(signed):
    frames = noise(2, 2, 12, 8)
    window = noise(12, 8, seed=1).abs()
    options = dict(window=window, signed=signed)
    # An odd number: at the border, gradients lie on an axis, which ends a bin of an even number.
    cells = hog_cells(frames, 7, 4, **options)
    assert cells.shape == (2, 2, 7, 3, 2)
    for m in range(2):
        for c in range(2):
            expected = naive_cells(frames[m, c], 7, 4, **options)
            torch.testing.assert_close(cells[m, c].double(), expected, rtol=1e-5, atol=1e-5)


@SIGNED
def test_both_ways_of_summing_agree(signed, monkeypatch):
    """What a CPU scatters, a GPU and a compiler sum bin by bin."""
    frames = torch.cat((noise(2, 3, 32, 48), pictures(2, 3, 32, 48)))
    scattered = hog_cells(frames, signed=signed)
    monkeypatch.setattr(torch.compiler, 'is_compiling', lambda: True)
    torch.testing.assert_close(hog_cells(frames, signed=signed), scattered, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize('value', [math.nan, math.inf])
@pytest.mark.parametrize('is_compiling', [False, True], ids=['scattered', 'bin by bin'])
@SIGNED
def test_what_is_not_finite_reaches_its_cell(value, is_compiling, signed, monkeypatch):
    monkeypatch.setattr(torch.compiler, 'is_compiling', lambda: is_compiling)
    frames = noise(1, 2, 24, 32)
    clean = hog_cells(frames.clone(), signed=signed)
    frames[0, 1, 12, 20] = value
    cells = hog_cells(frames, signed=signed)
    is_hit = ~cells.isfinite().all(dim=2)
    assert is_hit.nonzero().tolist() == [[0, 1, 1, 2]]
    others = (~is_hit).unsqueeze(2).expand_as(cells)
    assert torch.equal(cells[others], clean[others])


def test_negatives():
    """An inverted picture has the same edges, but signed gradients turn round."""
    frames = noise(1, 1, 16, 16)
    torch.testing.assert_close(hog_cells(frames), hog_cells(-frames))
    signed, inverted = (hog_cells(x, nbins=6, signed=True) for x in (frames, -frames))
    torch.testing.assert_close(inverted, signed.roll(3, dims=2))
    assert not torch.allclose(inverted, signed)


def test_all_votes_are_counted():
    frames = noise(1, 1, 16, 16)
    gx, gy = sobel(frames)
    total = torch.hypot(gx, gy).sum()
    for signed in (False, True):
        torch.testing.assert_close(hog_cells(frames, signed=signed).sum(), total)


def test_gaussian_tiles():
    tiles = gaussian_tiles(4, noise(1, 8, 12))
    assert tiles.shape == (8, 12)
    assert tiles[:4, :4].sum().item() == pytest.approx(1)
    assert torch.equal(tiles[4:, 8:], tiles[:4, :4])
    # Two pixels of standard deviation: from 0.5 to 1.5 pixels off the centre.
    assert (tiles[0, 1] / tiles[1, 1]).item() == pytest.approx(math.exp((0.5**2 - 1.5**2) / 8))
    with pytest.raises(ValueError, match='gaussian_window=16.* 32x40'):
        gaussian_tiles(16, noise(1, 32, 40))
