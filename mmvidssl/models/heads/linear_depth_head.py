"""Depth from patch features by one linear layer."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvidssl.registry import MODELS

FLOOR = 0.1  # added to each bin's weight before the weights are normalised


@MODELS.register_module()
class LinearDepthHead(BaseModule):
    """Linear depth head for mmsegmentation's ``DepthEstimator``.

    A linear layer gives each patch a logit for each of ``num_bins`` depths that are evenly spaced
    from ``min_depth`` to ``max_depth``. The logits are upsampled, made positive and divided by
    their sum; the depth is the mean of the bins under these weights.

    Args:
        in_channels: Width of the backbone's first output, the only one that is used.
        loss_decode: Config of the loss, called with predicted and true depth ``(B, 1, H, W)`` in
            metres, where a true depth of 0 is unknown; it has a ``loss_name``.
        num_bins: Number of depths.
        min_depth: The nearest, in metres.
        max_depth: The farthest; what is farther in an annotation counts as unknown.
        upsample: Factor by which the logits are upsampled, bilinearly.
        init_cfg: As in MMEngine.

    Source: the linear depth evaluation of DINOv2 (Oquab et al., 2023, section 7.4), which takes
    bins and weights from AdaBins (Bhat et al., 2021).
    Differs from the reference: it upsamples the features, we their logits, which is the same,
    since both steps are linear and the weights of an interpolation sum to one.
    """

    align_corners = False
    num_classes = 1  # mmsegmentation reads this and out_channels
    out_channels = 1

    def __init__(
        self,
        in_channels: int,
        loss_decode: dict,
        num_bins: int = 256,
        min_depth: float = 0.001,
        max_depth: float = 10.0,
        upsample: int = 4,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Normal', layer='Conv2d', std=0.01))
        if not 0 < min_depth < max_depth or num_bins < 2:
            raise ValueError(
                'LinearDepthHead needs 0 < min_depth < max_depth and two bins or more, got '
                f'min_depth={min_depth}, max_depth={max_depth}, num_bins={num_bins}'
            )
        self.max_depth = max_depth
        self.upsample = upsample
        self.loss_decode = MODELS.build(loss_decode)
        self.linear = nn.Conv2d(in_channels, num_bins, kernel_size=1)
        self.register_buffer('bins', torch.linspace(min_depth, max_depth, num_bins), False)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """``[(B, D, h, w)]`` -> depth in metres, ``(B, 1, upsample * h, upsample * w)``."""
        logits = self.linear(features[0]).float()
        logits = self._resize(logits, [self.upsample * side for side in logits.shape[-2:]])
        weights = logits.relu() + FLOOR
        # Not an einsum, which autocast would run in half precision.
        depth = (weights * self.bins[:, None, None]).sum(dim=1) / weights.sum(dim=1)
        return depth[:, None]

    def loss(self, features: Sequence[Tensor], data_samples: Sequence, train_cfg=None) -> dict:
        """The loss by its name; ``data_samples`` have ``gt_depth_map.data``, ``(1, H, W)``."""
        target = torch.stack([sample.gt_depth_map.data for sample in data_samples])
        target = target.where(target <= self.max_depth, 0)
        depth = self._resize(self(features), target.shape[-2:])
        return {self.loss_decode.loss_name: self.loss_decode(depth, target)}

    def predict(self, features: Sequence[Tensor], metas: Sequence[dict], test_cfg=None) -> Tensor:
        """Depth in metres, ``(B, 1, H, W)``, of images of the ``img_shape`` in ``metas``."""
        return self._resize(self(features), metas[0]['img_shape'][:2])

    def _resize(self, maps: Tensor, size: Sequence[int]) -> Tensor:
        return F.interpolate(maps, tuple(size), mode='bilinear', align_corners=self.align_corners)
