"""MaskFeat's target: histograms of oriented gradients."""

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor

from mmvidssl.registry import MODELS

from ..utils.hog import gaussian_tiles, hog_cells
from .base import PatchTargetGenerator, check_positive

Channels = Literal['rgb', 'gray', 'opponent']
Norm = Literal['l2', 'l1', 'none']

# Rows are the channels put out, columns red, green and blue.
COLOUR_TRANSFORMS = {
    # ITU-R BT.601 luma.
    'gray': ((0.299, 0.587, 0.114),),
    # Red-green, yellow-blue and intensity: van de Sande et al., TPAMI 2010.
    'opponent': (
        (2**-0.5, -(2**-0.5), 0.0),
        (6**-0.5, 6**-0.5, -2 * 6**-0.5),
        (3**-0.5, 3**-0.5, 3**-0.5),
    ),
}
# Pixels (of all channels) that are worked on at once. On a CPU they should stay in its cache; on a
# GPU they bound the memory.
CHUNK_PIXELS = {'cpu': 2**19, 'other': 2**24}


@MODELS.register_module()
class HOGGenerator(PatchTargetGenerator):
    """MaskFeat's targets: the histogram of oriented gradients (HOG) of each patch, in float32.

    The numbers of a target are in the order ``(channel, bin, cell row, cell column)``.

    Args:
        nbins: Orientation bins of a cell.
        cell_size: Side of a cell in pixels; divides ``patch_size``.
        gaussian_window: Side in pixels of the Gaussian windows that weight the magnitudes and tile
            the frame, whose sides must be multiples of it; 0 for none.
        signed: Bins cover 360 degrees rather than 180.
        channels: ``'rgb'`` (a histogram for each), ``'gray'`` or ``'opponent'`` (red-green,
            yellow-blue and intensity), computed from the input as it is, usually normalised.
        norm: Norm of a cell's histogram, separately by channel: ``'l2'``, ``'l1'`` or ``'none'``.
        **kwargs: As in :class:`PatchTargetGenerator`.

    Attributes:
        pred_channels: Length ``Q`` of a target.

    Source: MaskFeat, sections 3.2 and 4.3. The default is the ``HOGLayerC(nbins=9, pool=8)`` of the
    authors' code; ``gaussian_window=16`` is mmpretrain's ``HOGGenerator()``. Differs from the
    reference: nothing but speed and memory, and that frames may have any size.
    """

    REMOVED = dict(interpolate_bins='every gradient votes for one bin, as without it')

    def __init__(
        self,
        nbins: int = 9,
        cell_size: int = 8,
        gaussian_window: int = 0,
        signed: bool = False,
        channels: Channels = 'rgb',
        norm: Norm = 'l2',
        **kwargs,
    ) -> None:
        if kwargs.get('interpolate_bins') is False:  # in configs of older checkpoints
            del kwargs['interpolate_bins']
        super().__init__(**kwargs)
        check_positive(nbins=nbins, cell_size=cell_size)
        if self.patch_size % cell_size:
            raise ValueError(f'cell_size={cell_size} must divide patch_size={self.patch_size}')
        if gaussian_window < 0 or gaussian_window == 1:
            raise ValueError(
                f'gaussian_window must be 0 (off) or at least 2 pixels, got {gaussian_window}'
            )
        if channels not in get_args(Channels) or norm not in get_args(Norm):
            raise ValueError(
                f'channels must be one of {get_args(Channels)} and norm one of {get_args(Norm)}, '
                f'got {channels!r} and {norm!r}'
            )
        self.nbins, self.cell_size, self.signed = nbins, cell_size, signed
        self.gaussian_window, self.channels, self.norm = gaussian_window, channels, norm
        num_channels = len(COLOUR_TRANSFORMS.get(channels, 'rgb'))
        cells = (self.patch_size // cell_size) ** 2
        self.pred_channels = self.num_target_frames * num_channels * nbins * cells

    def generate(self, frames: Tensor, grid: tuple[int, int, int]) -> Tensor:
        if frames.shape[2] != 3:
            raise ValueError(
                f'HOGGenerator needs red, green and blue, got {frames.shape[2]} channels'
            )
        cells = self.cells(frames.flatten(0, 1))
        side = self.patch_size // self.cell_size
        patches = cells.unflatten(4, (grid[2], side)).unflatten(3, (grid[1], side))
        # (B * t, C, bins, h, row, w, column) -> (B * t, h, w, C, bins, row, column)
        target = patches.permute(0, 3, 5, 1, 2, 4, 6).flatten(3)
        return target.flatten(0, 2).unflatten(0, (len(frames), -1))

    def as_cells(self, target: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Rearrange targets, or predictions, of all tokens to histograms on the grid of cells.

        Args:
            target: ``(B, t * h * w, Q)``.
            grid: ``(t, h, w)`` of the tokens.

        Returns:
            ``(B, T, C, bins, H / cell, W / cell)`` of the ``T`` target frames; see :meth:`cells`.
        """
        side, frames = self.patch_size // self.cell_size, self.num_target_frames
        shape = (*grid, frames, -1, self.nbins, side, side)
        # (B, t, h, w, frame, C, bins, row, column) -> (B, t, frame, C, bins, h, row, w, column)
        places = target.unflatten(2, shape[3:]).unflatten(1, shape[:3])
        cells = places.permute(0, 1, 4, 5, 6, 2, 7, 3, 8)
        return cells.flatten(7, 8).flatten(5, 6).flatten(1, 2)

    @torch.no_grad()
    def cells(self, frames: Tensor) -> Tensor:
        """Normalised histograms ``(M, C, bins, H / cell, W / cell)`` of frames ``(M, 3, H, W)``."""
        with torch.autocast(frames.device.type, enabled=False):
            window = gaussian_tiles(self.gaussian_window, frames) if self.gaussian_window else None
            cells = [
                hog_cells(
                    self._convert_colours(chunk.float()),
                    self.nbins,
                    self.cell_size,
                    window,
                    self.signed,
                )
                for chunk in self._chunks(frames)
            ]
            return self._normalize(torch.cat(cells))

    def _chunks(self, frames: Tensor) -> Iterator[Tensor]:
        """Frames in chunks of ``CHUNK_PIXELS``; whole when compiled, as compilers plan memory."""
        if torch.compiler.is_compiling():
            return iter((frames,))
        budget = CHUNK_PIXELS['cpu' if frames.device.type == 'cpu' else 'other']
        return iter(frames.split(max(1, budget // frames[0].numel())))

    def _convert_colours(self, frames: Tensor) -> Tensor:
        if self.channels == 'rgb':
            return frames
        transform = frames.new_tensor(COLOUR_TRANSFORMS[self.channels])
        return torch.einsum('oc,mchw->mohw', transform, frames).contiguous()

    def _normalize(self, cells: Tensor) -> Tensor:
        # In place: F.normalize over this axis takes a quarter of the time of all before it.
        if self.norm == 'l1':
            cells.div_(cells.sum(dim=2, keepdim=True).clamp_min_(1e-12))
        elif self.norm == 'l2':
            cells.div_(cells.square().sum(dim=2, keepdim=True).sqrt_().clamp_min_(1e-12))
        return cells
