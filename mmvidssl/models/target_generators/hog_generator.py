"""MaskFeat's target: histograms of oriented gradients."""

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmvidssl.registry import MODELS

from ..utils.hog import gaussian_tiles, hog_cells
from ..utils.target_frames import check_positive, patch_grid, target_frames

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
class HOGGenerator(BaseModule):
    """Histogram of oriented gradients of each patch, without gradient, in float32.

    Only the frames that are targets are computed: frame ``i * temporal_stride`` for time step
    ``i``, the temporal centre of a tubelet (see :func:`mmvidssl.models.utils.target_frames`).

    Args:
        nbins: Orientation bins of a cell.
        cell_size: Side of a cell in pixels; divides ``patch_size``.
        patch_size: Side of a patch in pixels: what one token covers where it predicts.
        temporal_stride: Frames between time steps of the token grid; of no effect on images.
        gaussian_window: Side in pixels of the Gaussian windows that weigh the magnitudes, side by
            side from the upper left corner; 0 for none. A frame must hold whole windows.
        signed: Bins cover 360 degrees rather than 180.
        channels: ``'rgb'`` (a histogram for each), ``'gray'`` or ``'opponent'`` (red-green,
            yellow-blue and intensity). Transforms are applied to the input as it comes, which as a
            rule is normalised.
        norm: Of a cell's histogram, for each channel by itself: ``'l2'``, ``'l1'`` or ``'none'``.
        interpolate_bins: A gradient votes for the two nearest bins, linearly, not for one.

    Attributes:
        pred_channels: Length ``Q`` of a target.

    Raises:
        ValueError: names the argument that cannot be.

    Source: MaskFeat, sections 3.2 and 4.3. The default is the ``HOGLayerC(nbins=9, pool=8)`` of the
    authors' code; ``gaussian_window=16`` is mmpretrain's ``HOGGenerator()``. Differs from the
    reference: nothing but speed and memory, and that frames may have any size.
    """

    def __init__(
        self,
        nbins: int = 9,
        cell_size: int = 8,
        patch_size: int = 16,
        temporal_stride: int = 2,
        gaussian_window: int = 0,
        signed: bool = False,
        channels: Channels = 'rgb',
        norm: Norm = 'l2',
        interpolate_bins: bool = False,
    ) -> None:
        super().__init__()
        check_positive(
            nbins=nbins,
            cell_size=cell_size,
            patch_size=patch_size,
            temporal_stride=temporal_stride,
        )
        if patch_size % cell_size:
            raise ValueError(f'cell_size={cell_size} must divide patch_size={patch_size}')
        if gaussian_window < 0 or gaussian_window == 1:
            raise ValueError(
                f'gaussian_window must be 0 (off) or at least 2 pixels, got {gaussian_window}'
            )
        if channels not in get_args(Channels) or norm not in get_args(Norm):
            raise ValueError(
                f'channels must be one of {get_args(Channels)} and norm one of {get_args(Norm)}, '
                f'got {channels!r} and {norm!r}'
            )
        self.nbins, self.cell_size, self.patch_size = nbins, cell_size, patch_size
        self.temporal_stride, self.gaussian_window = temporal_stride, gaussian_window
        self.signed, self.interpolate_bins = signed, interpolate_bins
        self.channels, self.norm = channels, norm
        num_channels = len(COLOUR_TRANSFORMS.get(channels, 'rgb'))
        self.pred_channels = num_channels * nbins * (patch_size // cell_size) ** 2

    @torch.no_grad()
    def forward(self, clip: Tensor) -> Tensor:
        """Targets of all patches.

        Args:
            clip: ``(B, 3, T, H, W)`` or images ``(B, 3, H, W)``, as the model sees them.

        Returns:
            ``(B, t * h * w, Q)`` float32; ``Q`` in the order channel, bin, cell row, cell column.

        Raises:
            ValueError: if the shape does not fit.
        """
        frames = target_frames(clip, self.temporal_stride)
        height, width = patch_grid(frames, self.patch_size)
        if frames.shape[2] != 3:
            raise ValueError(
                f'HOGGenerator needs red, green and blue, got {frames.shape[2]} channels in a '
                f'tensor of the shape {tuple(clip.shape)}'
            )
        cells = self.cells(frames.flatten(0, 1))
        side = self.patch_size // self.cell_size
        patches = cells.unflatten(4, (width, side)).unflatten(3, (height, side))
        # (B * t, C, bins, h, row, w, column) -> (B * t, h, w, C, bins, row, column)
        target = patches.permute(0, 3, 5, 1, 2, 4, 6).flatten(3)
        return target.reshape(len(clip), -1, self.pred_channels)

    @torch.no_grad()
    def cells(self, frames: Tensor) -> Tensor:
        """Normalised histograms ``(M, C, bins, H / cell, W / cell)`` of frames ``(M, 3, H, W)``."""
        with torch.autocast(frames.device.type, enabled=False):
            window = self._window(frames)
            cells = torch.cat([self._cells(chunk, window) for chunk in self._chunks(frames)])
            return self._normalize(cells)

    def _window(self, frames: Tensor) -> Tensor | None:
        if not self.gaussian_window:
            return None
        return gaussian_tiles(self.gaussian_window, frames)

    def _chunks(self, frames: Tensor) -> Iterator[Tensor]:
        """As many frames at a time as fit; all of them where a compiler plans the memory."""
        if torch.compiler.is_compiling():
            return iter((frames,))
        budget = CHUNK_PIXELS['cpu' if frames.device.type == 'cpu' else 'other']
        return iter(frames.split(max(1, budget // frames[0].numel())))

    def _cells(self, frames: Tensor, window: Tensor | None) -> Tensor:
        return hog_cells(
            self._convert_colours(frames.float()),
            self.nbins,
            self.cell_size,
            window,
            self.signed,
            self.interpolate_bins,
        )

    def _convert_colours(self, frames: Tensor) -> Tensor:
        if self.channels == 'rgb':
            return frames
        transform = frames.new_tensor(COLOUR_TRANSFORMS[self.channels])
        return torch.einsum('oc,mchw->mohw', transform, frames).contiguous()

    def _normalize(self, cells: Tensor) -> Tensor:
        # F.normalize over this axis takes a quarter of the time of everything before it.
        if self.norm == 'l1':
            cells.div_(cells.sum(dim=2, keepdim=True).clamp_min_(1e-12))
        elif self.norm == 'l2':
            cells.div_(cells.square().sum(dim=2, keepdim=True).sqrt_().clamp_min_(1e-12))
        return cells
