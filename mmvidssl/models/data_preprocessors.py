"""Data preprocessor: stack clips to batches, move them to the device, normalise them there."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmvidssl.registry import MODELS


@MODELS.register_module()
class ClipDataPreprocessor(BaseDataPreprocessor):
    """Turn lists of uint8 clips into normalised float batches, view by view.

    The structure of ``inputs`` is kept. Each *view* is a tensor ``(B, C, T, H, W)`` or a list of
    ``B`` tensors ``(C, T, H, W)`` (what MMEngine's default collation leaves), and becomes a float
    tensor ``(B, C, T, H, W)``. A list of views (``local_clips``) becomes a list of such tensors.

    Args:
        mean: Mean of each channel, in the range of the input (0 to 255). Defaults to ImageNet's.
        std: Standard deviation of each channel, likewise.
        non_blocking: Copy to the device asynchronously.

    Raises:
        ValueError: if clips of one view have different shapes.
    """

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if len(mean) != len(std):
            raise ValueError(f'mean and std need one value a channel each, got {mean} and {std}')
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer('std', torch.tensor(std, dtype=torch.float32), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Collated ``{'inputs', 'data_samples'}`` -> the same, on the device, normalised."""
        inputs = {name: self._views(value, name) for name, value in data['inputs'].items()}
        return dict(inputs=inputs, data_samples=self.cast_data(data.get('data_samples')))

    def _views(self, value, name: str):
        is_one_view = isinstance(value, Tensor) or (
            len(value) > 0 and isinstance(value[0], Tensor) and value[0].ndim == 4
        )
        if is_one_view:
            return self._normalize(self._stack(value, name))
        return [self._normalize(self._stack(view, name)) for view in value]

    def _stack(self, value, name: str) -> Tensor:
        if isinstance(value, Tensor):
            return value
        shapes = {tuple(clip.shape) for clip in value}
        if len(shapes) != 1:
            raise ValueError(
                f'the clips of one view must have one shape; {name!r} holds {sorted(shapes)}. '
                'Resize or crop them to one size in the pipeline.'
            )
        # Stacked on the device: a stack on the CPU would not be pinned, so that copying it waits.
        return torch.stack([self.cast_data(clip) for clip in value])

    def _normalize(self, clips: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (clips.ndim - 2)
        clips = self.cast_data(clips).float()
        return (clips - self.mean.view(shape)) / self.std.view(shape)
