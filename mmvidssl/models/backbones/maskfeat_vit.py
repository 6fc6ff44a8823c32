"""The ViT that MaskFeat pretrains on images."""

import torch
from torch import Tensor, nn

from mmvidssl.registry import MODELS
from mmvidssl.utils.init_cfg import load_listed, names_checkpoint

from ..utils import ClipTokens, resize_mask
from .recompute import check_with_cp, run_block
from .vit_parts import PatchViT, check_frame_size


@MODELS.register_module()
class MaskFeatViT(PatchViT):
    """mmpretrain's ``VisionTransformer`` whose masked patches are replaced by one learned token.

    Clips are seen frame by frame; images are clips of one frame. Parameter names are mmpretrain's,
    so that any of its ViTs loads the weights (``mask_token`` is left out of published files).

    Differs from the reference: biases of norms and linear layers start at 0, as in mmpretrain, and
    not at 0.02; positions are interpolated to other image sizes (mmpretrain's ``MaskFeatViT``
    refuses them); ``forward`` takes no mask (``forward_tokens`` does).

    Args:
        arch: As in mmpretrain: a name (``'base'``, ``'large'``, ...) or a dict with
            ``embed_dims``, ``num_layers``, ``num_heads`` and ``feedforward_channels``.
        out_type: What ``forward`` gives, as in mmpretrain. ``'raw'``, all tokens, adds no
            parameter that pretraining would leave untrained.
        with_cp: As in :class:`DINOViT`.
        **kwargs: As in mmpretrain's ``VisionTransformer``; ``patch_size``, ``img_size`` and
            ``final_norm`` among them, and ``frozen_stages`` as in :class:`DINOViT`.

    Raises:
        ValueError: if there are fewer blocks than ``frozen_stages``.

    Source: MaskFeat, section 3 and appendix.
    """

    def __init__(
        self,
        arch: str | dict = 'base',
        out_type: str = 'raw',
        with_cp: bool | str = False,
        **kwargs,
    ) -> None:
        frozen_stages = kwargs.pop('frozen_stages', -1)
        super().__init__(arch=arch, out_type=out_type, **kwargs)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        check_with_cp(with_cp)
        self.with_cp = with_cp
        self.freeze(frozen_stages)

    def _freeze_stages(self) -> None:
        super()._freeze_stages()
        self.mask_token.requires_grad = False  # it enters the frozen blocks

    @property
    def out_channels(self) -> int:
        """Width of the tokens."""
        return self.embed_dims

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """As in mmpretrain; the mask token, put in before the blocks, has depth 0."""
        depth, num_depths = super().get_layer_depth(param_name, prefix)
        return (0 if param_name == f'{prefix}mask_token' else depth), num_depths

    def init_weights(self) -> None:
        """Truncated normal (0.02) for positions, tokens and matrices, like mmpretrain's."""
        super().init_weights()
        if names_checkpoint(self.init_cfg):
            load_listed(self)
            return
        for token in (self.cls_token, self.mask_token, self.pos_embed):
            if token is not None:
                nn.init.trunc_normal_(token, std=0.02)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                nn.init.trunc_normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward_tokens(self, clip: Tensor, mask: Tensor | None = None) -> ClipTokens:
        """Patch tokens of the frames of a clip, after the final norm if there is one.

        Args:
            clip: ``(B, C, T, H, W)`` or images ``(B, C, H, W)``, normalised.
            mask: ``(B, t, h', w')`` bool on the mask window, True = masked; each side divides that
                of the token grid ``(T, H / patch, W / patch)``. None masks nothing.

        Returns:
            Tokens ``(B, T * h * w, D)`` without class tokens, and the grid ``(T, h, w)``.

        Raises:
            ValueError: if patches do not fill the frames, or the mask does not fit their grid.
        """
        tokens, grid = self._forward_blocks(clip, mask)
        return ClipTokens(self._last_norm(tokens), grid)

    def forward_masked(self, clip: Tensor, mask: Tensor) -> ClipTokens:
        """``forward_tokens(clip, mask)`` of the masked tokens alone.

        Args:
            clip: ``(B, C, T, H, W)`` or images ``(B, C, H, W)``, normalised.
            mask: ``(B, t, h', w')`` as there.

        Returns:
            Tokens ``(M, D)``, sample by sample and in the order of the grid, and the whole grid.
        """
        tokens, grid = self._forward_blocks(clip, mask)
        return ClipTokens(self._last_norm(tokens[resize_mask(mask, grid).flatten(1)]), grid)

    def _forward_blocks(self, clip: Tensor, mask: Tensor | None) -> ClipTokens:
        """Patch tokens ``(B, T * h * w, D)`` before the final norm, and their grid."""
        clip = clip.unsqueeze(2) if clip.ndim == 4 else clip
        frames = clip.transpose(1, 2).flatten(0, 1)  # (B * T, C, H, W), clip by clip
        check_frame_size(frames, self.patch_size)
        patches, frame_grid = self.patch_embed(frames)
        grid = (clip.shape[2], *frame_grid)
        if mask is not None:
            masked = resize_mask(mask, grid).flatten(0, 1).flatten(1).unsqueeze(-1)
            patches = torch.where(masked, self.mask_token.to(patches.dtype), patches)
        tokens = self._add_positions(patches, frame_grid)
        for block in self.layers:
            tokens = run_block(block, self.with_cp, tokens)
        tokens = tokens[:, self.num_extra_tokens :]
        return ClipTokens(tokens.unflatten(0, (clip.shape[0], -1)).flatten(1, 2), grid)

    def _last_norm(self, tokens: Tensor) -> Tensor:
        return self.ln1(tokens) if self.final_norm else tokens
