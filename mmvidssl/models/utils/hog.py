"""Histograms of oriented gradients (HOG), binned exactly as in the released codes."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def sobel(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients along x and y of ``(..., C, H, W)``, borders reflected.

    ``gx`` weighs the left column of the 3 x 3 neighbourhood by (1, 2, 1) and the right one by the
    negative, ``gy`` likewise the upper and lower row. Neighbours are added one by one in reading
    order, the order in which PyTorch's convolution on a CPU adds them, so that rounding errors, on
    which a gradient's bin may depend, are the same. (Separable filters round differently.)
    """
    height, width = planes.shape[-2:]
    padded = F.pad(planes, (1, 1, 1, 1), mode='reflect')

    def at(row: int, column: int) -> Tensor:
        return padded[..., row : row + height, column : column + width]

    gx = at(0, 0) - at(0, 2)
    gx = gx.add_(at(1, 0), alpha=2).sub_(at(1, 2), alpha=2).add_(at(2, 0)).sub_(at(2, 2))
    gy = at(0, 0).add(at(0, 1), alpha=2).add_(at(0, 2))
    gy = gy.sub_(at(2, 0)).sub_(at(2, 1), alpha=2).sub_(at(2, 2))
    return gx, gy


def hog_cells(
    frames: Tensor,
    nbins: int = 9,
    cell_size: int = 8,
    window: Tensor | None = None,
    signed: bool = False,
) -> Tensor:
    """HOG of each cell: its gradient magnitudes, summed by orientation.

    The orientation is ``atan2(gx, gy)``. Bin ``k`` of ``n`` covers ``k / n`` to ``(k + 1) / n`` of
    the half circle.

    Args:
        frames: ``(M, C, H, W)`` float32, of which ``cell_size`` divides ``H`` and ``W``.
        nbins: Number ``n`` of bins.
        cell_size: In pixels.
        window: ``(H, W)`` weights of the pixels, or None.
        signed: Bins cover the whole circle, so that opposite gradients differ.

    Returns:
        ``(M, C, n, H / cell_size, W / cell_size)``, not normalised. A cell with a gradient that is
        not finite has a bin that is not finite.

    Source: Dalal and Triggs, CVPR 2005, as simplified by MaskFeat, section 3.2 (no blocks).
    """
    gx, gy = sobel(frames)
    phase = torch.atan2(gx, gy).div_(2 * math.pi if signed else math.pi).mul_(nbins)
    # A NaN has no bin: any will do, since its magnitude, also NaN, makes the target NaN.
    phase.nan_to_num_(0.0)
    magnitude = gx.square_().addcmul_(gy, gy).sqrt_()
    if window is not None:
        magnitude.mul_(window)
    bins = phase.floor_()
    # Scattering is quickest on a CPU. Elsewhere it would add in random order.
    if frames.device.type == 'cpu' and not torch.compiler.is_compiling():
        return _scatter_by_bin(bins, magnitude, nbins, cell_size)
    bins = bins.remainder_(nbins)
    sums = [_cell_sums(torch.where(bins == k, magnitude, 0.0), cell_size) for k in range(nbins)]
    return torch.stack(sums, dim=2)


def _cell_sums(planes: Tensor, cell_size: int) -> Tensor:
    """``(M, C, H, W)`` -> ``(M, C, h, w)``."""
    rows = planes.unflatten(-2, (-1, cell_size)).sum(dim=-2)
    return rows.unflatten(-1, (-1, cell_size)).sum(dim=-1)


def _scatter_by_bin(bins: Tensor, votes: Tensor, nbins: int, cell_size: int) -> Tensor:
    """Sum votes ``(M, C, H, W)`` by cell and bin, ``(M, C, nbins, h, w)``.

    One scatter for each row of cells, into a slot for each of a cell's bins ``-nbins .. nbins``
    (integral floats, which are overwritten); slots that are equal modulo ``nbins`` are then added
    up.
    """
    width, num_slots = votes.shape[-1] // cell_size, 2 * nbins + 1
    first = torch.arange(nbins, width * num_slots, num_slots, dtype=bins.dtype)
    slots = bins.add_(first.repeat_interleave(cell_size)).long()
    votes, slots = (pixels.unflatten(2, (-1, cell_size)).flatten(3) for pixels in (votes, slots))
    sums = votes.new_zeros(*votes.shape[:3], width * num_slots)
    sums = sums.scatter_add_(3, slots, votes).unflatten(3, (width, num_slots))
    folded = sums[..., :nbins] + sums[..., nbins:-1]
    folded[..., 0] += sums[..., -1]
    return folded.permute(0, 1, 4, 2, 3).contiguous()


def gaussian_tiles(size: int, frames: Tensor) -> Tensor:
    """Gaussian windows of ``size`` x ``size`` pixels side by side, for frames ``(..., H, W)``.

    Returns:
        ``(H, W)`` float32; each window sums to one, its standard deviation is ``size // 2`` pixels.

    Raises:
        ValueError: if ``size`` does not divide ``H`` and ``W``.
    """
    height, width = frames.shape[-2:]
    if height % size or width % size:
        raise ValueError(
            f'gaussian_window={size} must divide the frame, which has {height}x{width} pixels'
        )
    offset = torch.arange(size, dtype=torch.float32, device=frames.device)
    profile = torch.exp(-0.5 * ((offset - offset.mean()) / (size // 2)) ** 2)
    window = profile[:, None] * profile
    return (window / window.sum()).repeat(height // size, width // size)
