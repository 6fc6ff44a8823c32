"""MViTv2 with one feature a clip, as PySlowFast's classifier wants it."""

from torch import Tensor

from mmvidssl.registry import MODELS

from .mvit import MViT


@MODELS.register_module()
class PooledMViT(MViT):
    """The norm of the mean of the tokens, where mmaction2 has the mean of their norms.

    For mmaction2's ``MViTHead(with_cls_token=False)``, whose own mean then is over one place. The
    rest, names of weights and loading among it, is :class:`MViT`.

    Differs from the reference: the last norm continues with that of the pretrained model, as in
    :class:`MViT`.

    Source: PySlowFast's ``MVIT.USE_MEAN_POOLING``, with which MaskFeat is fine-tuned.
    """

    # For mmvidssl.apis.FeatureExtractor: which of the two its mean is.
    norms_mean = True

    def __init__(self, arch: str | dict = 'small', **kwargs) -> None:
        super().__init__(arch, output_cls_token=False, **kwargs)

    def forward(self, clip: Tensor) -> tuple[Tensor]:
        """``(B, C, T, H, W)``, normalised, to one ``(B, D, 1, 1, 1)``."""
        tokens, grid = self.patch_embed(clip)
        tokens = self._add_class_token(tokens, grid)
        for block in self.blocks:
            tokens, grid = block(tokens, grid)
        pooled = tokens[:, int(self.with_cls_token) :].mean(dim=1)
        pooled = getattr(self, f'norm{self.num_scales - 1}')(pooled)
        return (pooled[..., None, None, None],)
