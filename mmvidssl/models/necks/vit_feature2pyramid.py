"""Feature pyramid of four scales from the blocks of a ViT."""

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvidssl.registry import MODELS

NUM_SCALES = 4


@MODELS.register_module()
class ViTFeature2Pyramid(BaseModule):
    """Feature maps of four blocks, each resampled to a scale of its own.

    The earliest block's map is upsampled by 4 (two transposed convolutions with a norm and a GELU
    between them), the next by 2 (one); the third stays, the last is halved by max pooling. With
    patches of 16 pixels the strides are 4, 8, 16 and 32, which FPN, UPerHead and others take.

    Args:
        embed_dim: Width ``D`` of the backbone.
        norm_cfg: The norm, as mmcv builds it.
        init_cfg: As in MMEngine.

    Source: the detection and segmentation of iBOT (and of BEiT before it). Each level has a block
    of its own; ViTDet makes all of them from the last.
    Differs from the reference: there it is part of the backbone.
    """

    def __init__(
        self, embed_dim: int, norm_cfg: dict | None = None, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        norm = build_norm_layer(norm_cfg or dict(type='SyncBN'), embed_dim)[1]

        def twice() -> nn.Module:
            return nn.ConvTranspose2d(embed_dim, embed_dim, kernel_size=2, stride=2)

        self.scales = nn.ModuleList(
            (
                nn.Sequential(twice(), norm, nn.GELU(), twice()),
                twice(),
                nn.Identity(),
                nn.MaxPool2d(kernel_size=2, stride=2),
            )
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Resample four feature maps to four scales.

        Args:
            features: Four maps ``(B, D, h, w)``, the earliest block's first.

        Returns:
            Contiguous maps of ``4h x 4w``, ``2h x 2w``, ``h x w`` and ``h/2 x w/2`` (rounded down).

        Raises:
            ValueError: if there are not four.
        """
        if len(features) != NUM_SCALES:
            raise ValueError(
                f'ViTFeature2Pyramid makes {NUM_SCALES} scales of the outputs of {NUM_SCALES} '
                f'blocks, got {len(features)} outputs. Give the backbone {NUM_SCALES} out_indices, '
                "such as [3, 5, 7, 11], and out_type='featmap'."
            )
        # mmpretrain's maps are permuted tokens; mmcv's RoIAlign ignores strides, so that it needs
        # contiguous maps (mmcv#2203).
        return tuple(scale(x.contiguous()) for scale, x in zip(self.scales, features, strict=True))
