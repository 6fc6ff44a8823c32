"""The ViT of DINO and DoRA."""

from functools import partial

import torch
from mmengine.model.weight_init import trunc_normal_init
from torch import Tensor, nn

from mmvidssl.registry import MODELS
from mmvidssl.utils.init_cfg import load_listed, names_checkpoint

from ..utils import FrameTokens, clip_to_frames
from .recompute import check_with_cp, run_block
from .vit_parts import PatchViT, check_frame_size, class_token_block, split_linear


@MODELS.register_module()
class DINOViT(PatchViT):
    """mmpretrain's ``VisionTransformer``, plus the query, keys and attention for a tracker.

    Parameter names are mmpretrain's, so that any of its ViTs loads the weights. Initialisation is
    DINO's (truncated normal, 0.02).

    Args:
        arch: As in mmpretrain: a name (``'deit-tiny'``, ``'deit-small'``, ...) or a dict with
            ``embed_dims``, ``num_layers``, ``num_heads`` and ``feedforward_channels``.
        interpolate_offset: See :func:`mmvidssl.models.utils.resize_pos_embed`. The released DINO
            and DoRA use 0.1.
        with_cp: What is computed again in the backward pass rather than kept: False, nothing;
            ``'cheap'``, norms, activations and sums; True, all but the input of each block, for
            about a third more time. The gradients are the same. Has no effect without gradients (on
            a teacher).
        norm_outputs: Apply the last norm to every output (iBOT's segmentation, DINO's linear
            probe), not only to that of the last block.
        concat_outputs: Concatenate all outputs along their channels to a single one, as DINO's
            linear probe does with class tokens.
        pad_frames: Zero-pad frames to whole patches, right and below, as mmpretrain does, rather
            than refuse them: segmentation meets images of any size.
        **kwargs: As in mmpretrain's ``VisionTransformer``; ``patch_size``, ``img_size`` and
            ``out_type`` among them (student and teacher need ``'cls_token'``, the default;
            ``'featmap'`` and others are for downstream use). ``out_type`` may also be
            ``'featmap_and_cls'``: each patch with the class token appended, ``(N, 2 * D, h, w)``.
            ``frozen_stages`` first blocks, and all before them, have no gradients and stay in
            evaluation mode (mmpretrain's leave it when the model is next put into training).

    Raises:
        ValueError: if ``with_cls_token`` is False, if there is no last norm for ``norm_outputs``,
            or if there are fewer blocks than ``frozen_stages``.
    """

    OUT_TYPES = PatchViT.OUT_TYPES | {'featmap_and_cls'}

    def __init__(
        self,
        arch: str | dict = 'deit-small',
        interpolate_offset: float = 0.0,
        with_cp: bool | str = False,
        norm_outputs: bool = False,
        concat_outputs: bool = False,
        pad_frames: bool = False,
        **kwargs,
    ) -> None:
        if not kwargs.get('with_cls_token', True):
            raise ValueError(
                'DINOViT always has a class token, which DINO and DoRA learn from; leave out '
                "with_cls_token=False. To put out patches alone, set out_type='featmap'."
            )
        frozen_stages = kwargs.pop('frozen_stages', -1)
        super().__init__(arch=arch, **kwargs)
        if norm_outputs and not self.final_norm:
            raise ValueError(
                'norm_outputs applies the last norm to every output, but final_norm=False leaves '
                'it out; set one of them only'
            )
        self.interpolate_offset = interpolate_offset
        check_with_cp(with_cp)
        self.with_cp = with_cp
        self.norm_outputs = norm_outputs
        self.concat_outputs = concat_outputs
        self.pad_frames = pad_frames
        self.freeze(frozen_stages)

    @property
    def num_heads(self) -> int:
        """Number of attention heads of every block."""
        return self.arch_settings['num_heads']

    def init_weights(self) -> None:
        """Truncated normal for positions, class token and linear layers (DINO, section 4)."""
        super().init_weights()
        if names_checkpoint(self.init_cfg):
            load_listed(self)
            return
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_init(module, std=0.02)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Features of single frames.

        Args:
            frames: ``(N, C, H, W)``, normalised.

        Returns:
            One entry for each of ``out_indices``, in the form of ``out_type``: ``(N, D)`` class
            tokens by default; one for all with ``concat_outputs``.

        Raises:
            ValueError: if the patch size does not divide ``H`` and ``W``, without ``pad_frames``.
        """
        tokens, grid = self._embed(frames)
        outputs = []
        for index, layer in enumerate(self.layers):
            tokens = run_block(layer, self.with_cp, tokens)
            if index in self.out_indices:
                outputs.append(self._format_output(self._norm(tokens, index), grid))
        if self.concat_outputs:
            outputs = [torch.cat(outputs, dim=-1 if self.out_type == 'raw' else 1)]
        return tuple(outputs)

    def forward_class_token(self, frames: Tensor) -> Tensor:
        """Class tokens of frames ``(N, C, H, W)``: the last output of ``forward``, for less work.

        The last block computes nothing but the class token, for a sixth of a block's work; unless
        that is not all that ``forward`` puts out, or a subclass overrides it.
        """
        gives_class_token = self.out_type == 'cls_token' and not self.concat_outputs
        is_overridden = type(self).forward is not DINOViT.forward
        if is_overridden or not gives_class_token or self.out_indices[-1] != self.num_layers - 1:
            return self(frames)[-1]
        tokens, _ = self._embed(frames)
        for index, layer in enumerate(self.layers):
            is_last = index == self.num_layers - 1
            block = partial(class_token_block, layer) if is_last else layer
            tokens = run_block(block, self.with_cp, tokens)
        return self._norm(tokens, self.num_layers - 1)[:, 0]

    def _norm(self, tokens: Tensor, index: int) -> Tensor:
        """Output of block ``index``, after the last norm if that applies to it."""
        is_last = index == self.num_layers - 1
        return self.ln1(tokens) if self.norm_outputs or is_last and self.final_norm else tokens

    def _format_output(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        if self.out_type != 'featmap_and_cls':
            return super()._format_output(tokens, grid)
        patches = tokens[:, 1:]
        beside = torch.cat((patches, tokens[:, :1].expand_as(patches)), dim=-1)
        return beside.transpose(1, 2).unflatten(2, grid)

    def forward_tokens(self, clip: Tensor, block: int = -1) -> FrameTokens:
        """Class tokens of all frames, and the query, keys and attention that a tracker needs.

        No full attention map is built: only the row of the first frame's class token.

        Args:
            clip: ``(B, C, T, H, W)``, normalised.
            block: The block whose self-attention provides query and key; negative counts from the
                end. DoRA's released code uses the last.
        """
        batch_size, clip_len = clip.shape[0], clip.shape[2]
        block = range(self.num_layers)[block]
        tokens, grid = self._embed(clip_to_frames(clip))
        for index, layer in enumerate(self.layers):
            if index == block:
                query, key = self._query_and_key(layer, tokens, batch_size)
            tokens = layer(tokens)
        if self.final_norm:
            tokens = self.ln1(tokens)
        class_row = query[:, :, :1] @ key[:batch_size].transpose(-2, -1)
        class_row = (class_row * query.shape[-1] ** -0.5).softmax(dim=-1)
        return FrameTokens(
            class_token=tokens[:, 0].unflatten(0, (clip_len, batch_size)),
            patches=tokens[:batch_size, 1:],
            class_attention=class_row[:, :, 0, 1:],
            query=query,
            key=key.unflatten(0, (clip_len, batch_size)),
            grid=grid,
        )

    @staticmethod
    def _query_and_key(layer: nn.Module, tokens: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
        """Query of the first ``batch_size`` frames and keys of all, ``(frames, heads, 1 + N, d)``.

        The block itself computes them once more, which costs 1 / 36 of a ViT's work.
        """
        attn = layer.attn
        query_of, key_of, _ = split_linear(attn.qkv, [attn.embed_dims] * 3)
        normed = layer.ln1(tokens)
        query, key = query_of(normed[:batch_size]), key_of(normed)
        split = (attn.num_heads, attn.head_dims)
        return query.unflatten(-1, split).transpose(1, 2), key.unflatten(-1, split).transpose(1, 2)

    def _embed(self, frames: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """``(N, C, H, W)`` -> tokens ``(N, 1 + h * w, D)`` and the grid ``(h, w)``."""
        if not self.pad_frames:
            check_frame_size(frames, self.patch_size)
        patches, grid = self.patch_embed(frames)
        return self._add_positions(patches, grid), grid
