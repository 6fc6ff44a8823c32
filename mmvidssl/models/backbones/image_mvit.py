"""MViTv2 for images: the video model that MaskFeat pretrained, as the backbone of a detector."""

from collections.abc import Sequence

from torch import Tensor

from mmvidssl.registry import MODELS

from .mvit import MViT


@MODELS.register_module()
class ImageMViT(MViT):
    """Feature maps of single images at the strides 4, 8, 16 and 32.

    An image is a clip that stands still, just long enough for one step of the token grid in time
    (two frames), which adds no tokens to those of an image model. Weights, their names and how they
    are loaded are those of :class:`MViT`; relative positions are interpolated to the size of the
    image.

    Args:
        arch: As for :class:`MViT`.
        out_scales: The scales to put out, 0 the finest. Each has a norm of its own; those before
            the last are new in a model that MaskFeat pretrained.
        **kwargs: As for :class:`MViT`.

    Source: MViTv2 (Li et al., 2022), section 3.2, which feeds its four scales to an FPN. That paper
    pretrains on images; putting MaskFeat's video model there is ours.
    """

    def __init__(
        self, arch: str | dict = 'small', out_scales: Sequence[int] = (0, 1, 2, 3), **kwargs
    ) -> None:
        super().__init__(arch, out_scales=list(out_scales), output_cls_token=False, **kwargs)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images ``(B, C, H, W)`` to one ``(B, D, h, w)`` for each of ``out_scales``."""
        num_frames = self.patch_embed.projection.stride[0]
        clip = images[:, :, None].expand(-1, -1, num_frames, -1, -1)
        return tuple(features.mean(dim=2) for features in super().forward(clip))
