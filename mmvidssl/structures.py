"""The data sample of every mmvidssl data set."""

import torch
from mmengine.structures import BaseDataElement


class VidSSLDataSample(BaseDataElement):
    """One clip's metadata and, where a method masks its input, the mask.

    Meta information (set with ``set_metainfo``): ``video_path`` (str), ``video_index`` (int),
    ``frame_inds`` (list of ``clip_len`` frame numbers), ``fps`` (float, frames per second), and, if
    a video could not be read, ``decode_failures``: a list of dicts with ``path`` and ``reason``
    (str), ``replaced`` (bool, whether this sample stands in for one of that video) and
    ``quarantined`` (bool, whether the worker has stopped reading that video).
    """

    @property
    def mask(self) -> torch.Tensor:
        """Bool tensor ``(t, h, w)`` on the mask window, True = masked."""
        return self._mask

    @mask.setter
    def mask(self, value: torch.Tensor) -> None:
        self.set_field(value, '_mask', dtype=torch.Tensor)

    @mask.deleter
    def mask(self) -> None:
        del self._mask
