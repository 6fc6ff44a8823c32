"""mmaction2's MViTv2 for clips, images and classifiers, which loads MaskFeat's weights."""

import re
from collections.abc import MutableMapping, Sequence

import torch
from mmaction.models.backbones.mvit import MViT as _MViT
from mmaction.models.backbones.mvit import resize_pos_embed
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mmvidssl.registry import MODELS
from mmvidssl.utils.init_cfg import load_listed, names_checkpoint

from ..utils import Linear
from .mvit_block import MViTBlock
from .recompute import check_with_cp
from .vit_parts import FrozenStages, use_plain_drop_rates


@MODELS.register_module()
class MViT(FrozenStages, _MViT):
    """mmaction2's ``MViT`` with activation checkpointing; it also loads MaskFeat's weights.

    Parameter names and outputs are mmaction2's, so weights can be exchanged. MaskFeat pretrains
    with one downscaling less (see :class:`MaskFeatMViT`); loading its weights here

    - interpolates relative positions of another length, linearly;
    - loads the pretrained model's last norm (``norm2`` in the paper's models) into the last norm
      here (``norm3``; but see :class:`PooledMViT`);
    - drops the mask token.

    So ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')`` loads every
    parameter.

    Differs from the reference: PySlowFast re-initialises the norm before the classifier for
    fine-tuning, as ``PooledMViT(fresh_norm=True)`` does.

    Args:
        arch: ``'tiny'``, ``'small'``, ``'base'``, ``'large'``, or a dict with ``embed_dims``,
            ``num_layers``, ``num_heads``, ``downscale_indices`` and ``dim_mul_indices`` (default:
            the same as ``downscale_indices``).
        dim_mul_in_attention: Where a block doubles the width, do so in its attention (the
            supervised MViTv2) rather than in its MLP (MaskFeat, and so its fine-tuning).
            Default False; mmaction2's is True.
        with_cp: What is computed again in the backward pass rather than kept: False, nothing;
            ``'cheap'``, norms, activations, sums and copies; True, all but the input of each block,
            for about a third more time. The gradients are the same.
        frozen_stages: Number of first blocks that are frozen (no gradients, no drop path), with the
            patch embedding, class token and positions; if it is all blocks, the norms behind them
            too. Default -1: none.
        **kwargs: As in mmaction2's ``MViT``; ``init_cfg=None`` is its default too.

    Raises:
        ValueError: if there are fewer blocks than ``frozen_stages``.
    """

    REMOVED = dict.fromkeys(
        ('num_lean_blocks', 'num_recompute_blocks'), "set with_cp='cheap' for less memory"
    )
    # The parameters that loading may interpolate; see mmvidssl.engine.checkpoint.
    interpolated_on_load = ('rel_pos_t', 'rel_pos_h', 'rel_pos_w')
    has_fresh_norm = False

    def __init__(
        self,
        arch: str | dict = 'small',
        dim_mul_in_attention: bool = False,
        with_cp: bool | str = False,
        frozen_stages: int = -1,
        **kwargs,
    ) -> None:
        if kwargs.get('init_cfg', ()) is None:  # mmaction2 calls init_cfg.copy()
            del kwargs['init_cfg']
        super().__init__(arch=arch, dim_mul_in_attention=dim_mul_in_attention, **kwargs)
        Linear.adopt(self)
        use_plain_drop_rates(self)
        check_with_cp(with_cp)
        for block in self.blocks:
            MViTBlock.adopt(block, with_cp)
        self.freeze(frozen_stages)

    def _freeze_stages(self) -> None:
        frozen = [self.patch_embed, *self.blocks[: self.frozen_stages]]
        if self.frozen_stages == self.num_layers:
            frozen += [part for name, part in self.named_children() if name.startswith('norm')]
        for part in frozen:
            part.eval().requires_grad_(False)
        for name in ('cls_token', 'pos_embed', 'mask_token'):
            if (token := getattr(self, name, None)) is not None:
                token.requires_grad_(False)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of a parameter for layer-wise learning rates, and the number of depths.

        As in mmpretrain: everything before the blocks has depth 0, block ``i`` has ``i + 1``, and
        everything else, in the backbone or behind it, has the last depth.
        """
        last = self.num_layers + 1
        name = param_name.removeprefix(prefix)
        if not param_name.startswith(prefix):
            return last, last + 1
        if name in ('cls_token', 'mask_token', 'pos_embed') or name.startswith('patch_embed.'):
            return 0, last + 1
        return (int(name.split('.')[1]) + 1 if name.startswith('blocks.') else last), last + 1

    @property
    def out_channels(self) -> int:
        """Width of the tokens of the last block."""
        return self.blocks[-1].out_dims

    @property
    def _last_norm(self) -> nn.LayerNorm:
        return getattr(self, f'norm{self.num_scales - 1}')

    def init_weights(self, *args, **kwargs) -> None:
        """As in mmaction2, but class token and patch embedding's bias start as in PySlowFast.

        Neither is zero: the class token is drawn, the bias has PyTorch's default for convolutions.
        """
        super().init_weights(*args, **kwargs)
        if names_checkpoint(self.init_cfg):
            load_listed(self)
            return
        trunc_normal_(self.cls_token, std=0.02)
        patches = self.patch_embed.projection
        bound = patches.weight[0].numel() ** -0.5
        nn.init.uniform_(patches.bias, -bound, bound)

    def _add_class_token(self, tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Input of the first block, ``(B, 1 + N, D)``, with absolute positions if any."""
        tokens = torch.cat((self.cls_token.expand(tokens.shape[0], -1, -1), tokens), dim=1)
        if self.use_abs_pos_embed:
            tokens = tokens + resize_pos_embed(
                self.pos_embed,
                self.patch_resolution,
                grid,
                mode=self.interpolate_mode,
                num_extra_tokens=self.num_extra_tokens,
            )
        return tokens if self.with_cls_token else tokens[:, 1:]

    def _load_from_state_dict(self, state_dict: MutableMapping, prefix: str, *args) -> None:
        self._rename_last_norm(state_dict, prefix)
        if not hasattr(self, 'mask_token'):
            state_dict.pop(f'{prefix}mask_token', None)
        for name, parameter in self.named_parameters():
            saved = state_dict.get(prefix + name)
            if name.endswith(self.interpolated_on_load) and saved is not None:
                state_dict[prefix + name] = resize_rel_pos(saved, len(parameter))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _rename_last_norm(self, state_dict: MutableMapping, prefix: str) -> None:
        """Rename the norm of the saved model's last scale to that of our last scale."""
        pattern = re.compile(re.escape(prefix) + r'norm(\d+)\.weight')
        saved = [int(match[1]) for match in map(pattern.fullmatch, state_dict) if match]
        last = self.num_scales - 1
        norm = getattr(self, f'norm{last}', None)
        if norm is None or not saved or last in saved or self.has_fresh_norm:
            return
        old, new = (f'{prefix}norm{scale}.' for scale in (max(saved), last))
        if state_dict[f'{old}weight'].shape == norm.weight.shape:
            for key in [key for key in state_dict if key.startswith(old)]:
                state_dict[new + key.removeprefix(old)] = state_dict.pop(key)


@MODELS.register_module()
class ImageMViT(MViT):
    """Feature maps of single images at the strides 4, 8, 16 and 32.

    An image is repeated to a clip of one time step of the token grid (two frames). Weights, their
    names and their loading are those of :class:`MViT`; relative positions are interpolated to the
    size of the image.

    Args:
        arch: As for :class:`MViT`.
        out_scales: The scales to put out, 0 the finest. Each has a norm of its own; MaskFeat
            pretrains only the last of these norms.
        **kwargs: As for :class:`MViT`.

    Source: MViTv2 (Li et al., 2022), section 3.2, which feeds its four scales to an FPN. That paper
    pretrains on images; to use MaskFeat's video model there is our own idea.
    """

    # For FrozenEncoder: it takes images, though its patch embedding is for clips.
    takes_images = True

    def __init__(
        self, arch: str | dict = 'small', out_scales: Sequence[int] = (0, 1, 2, 3), **kwargs
    ) -> None:
        super().__init__(arch, out_scales=list(out_scales), output_cls_token=False, **kwargs)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images ``(B, C, H, W)`` to one ``(B, D, h, w)`` for each of ``out_scales``."""
        num_frames = self.patch_embed.projection.stride[0]
        clip = images[:, :, None].expand(-1, -1, num_frames, -1, -1)
        return tuple(features.mean(dim=2) for features in super().forward(clip))


@MODELS.register_module()
class PooledMViT(MViT):
    """MViT that averages its tokens and then normalises; mmaction2 normalises and then averages.

    For mmaction2's ``MViTHead(with_cls_token=False)``, whose own mean is then over one position.
    All else, names and loading of weights included, is as in :class:`MViT`.

    Args:
        arch: As for :class:`MViT`.
        fresh_norm: Do not load the last norm from pretraining but initialise it as PySlowFast does
            (1 and 0.02); set ``allow_new=['norm3.*']`` of ``PretrainedReportHook`` then. Default:
            load it. The norm of a fine-tuned model is loaded in any case.
        **kwargs: As for :class:`MViT`.

    Source: PySlowFast's ``MVIT.USE_MEAN_POOLING``, with which MaskFeat is fine-tuned.
    """

    # For FrozenEncoder: the norm comes after the mean.
    norms_mean = True

    def __init__(self, arch: str | dict = 'small', fresh_norm: bool = False, **kwargs) -> None:
        super().__init__(arch, output_cls_token=False, **kwargs)
        self.has_fresh_norm = fresh_norm
        if fresh_norm:
            nn.init.constant_(self._last_norm.bias, 0.02)

    def forward(self, clip: Tensor) -> tuple[Tensor]:
        """``(B, C, T, H, W)``, normalised, to one ``(B, D, 1, 1, 1)``."""
        tokens, grid = self.patch_embed(clip)
        tokens = self._add_class_token(tokens, grid)
        for block in self.blocks:
            tokens, grid = block(tokens, grid)
        pooled = self._last_norm(tokens[:, int(self.with_cls_token) :].mean(dim=1))
        return (pooled[..., None, None, None],)


def resize_rel_pos(rel_pos: Tensor, length: int) -> Tensor:
    """Interpolate relative positions ``(L, d)`` linearly to ``(length, d)``."""
    if len(rel_pos) == length:
        return rel_pos
    resized = nn.functional.interpolate(rel_pos.t()[None], size=length, mode='linear')
    return resized[0].t()
