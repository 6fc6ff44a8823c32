"""MaskFeat composed of mmaction2's MViT and mmpretrain's HOG as they are."""

import torch
from mmaction.models.backbones.mvit import MViT
from mmpretrain.models.selfsup import HOGGenerator
from torch import Tensor, nn

# MViTv2-S without its last downscaling.
SMALL = dict(
    embed_dims=96,
    num_layers=16,
    num_heads=1,
    downscale_indices=[1, 3],
    dim_mul_indices=[1, 3, 14],
)


class PeerMaskFeat(nn.Module):
    """Parameters have the names that they have in ours.

    Args:
        arch: As a dict.
        **kwargs: As in mmaction2's ``MViT``.
    """

    def __init__(self, arch: dict = SMALL, **kwargs) -> None:
        super().__init__()
        self.backbone = MViT(arch=arch, dim_mul_in_attention=False, **kwargs)
        self.backbone.mask_token = nn.Parameter(torch.zeros(1, 1, arch['embed_dims']))
        self.neck = nn.ModuleDict(dict(fc=nn.Linear(self.backbone.blocks[-1].out_dims, 108)))
        self.hog = HOGGenerator(nbins=9, pool=8, gaussian_window=0)

    def loss(self, clip: Tensor, mask: Tensor) -> Tensor:
        """Loss of clips ``(B, 3, 16, 224, 224)`` and masks ``(B, 8, 7, 7)``, True = masked."""
        pred, grid = self._predict(clip, mask)
        frames = clip[:, :, ::2].transpose(1, 2).flatten(0, 1)
        with torch.autocast(clip.device.type, enabled=False):  # under which mmpretrain's fails
            target = self.hog(frames).unflatten(0, (len(clip), -1)).flatten(1, 2)
        weight = self._resize(mask, grid)[..., 0]
        return ((pred - target).square().mean(dim=-1) * weight).sum() / weight.sum()

    def _predict(self, clip: Tensor, mask: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
        net = self.backbone
        tokens, grid = net.patch_embed(clip)
        weight = self._resize(mask, grid)
        tokens = tokens * (1 - weight) + net.mask_token * weight
        tokens = torch.cat((net.cls_token.expand(len(clip), -1, -1), tokens), dim=1)
        for block in net.blocks:
            tokens, grid = block(tokens, grid)
        norm = getattr(net, f'norm{net.num_scales - 1}')
        return self.neck['fc'](norm(tokens)[:, 1:]), tuple(grid)

    @staticmethod
    def _resize(mask: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """One float for each token, ``(B, N, 1)``."""
        resized = nn.functional.interpolate(mask[:, None].float(), size=grid)
        return resized.flatten(2).transpose(1, 2)
