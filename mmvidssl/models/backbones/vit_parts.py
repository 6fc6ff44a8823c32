"""Parts of the ViT backbones: frozen stages, patches and their positions."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from mmpretrain.models import VisionTransformer
from torch import Tensor, nn

from ..utils import Linear, linear, resize_pos_embed


def check_frame_size(frames: Tensor, patch_size: tuple[int, int]) -> None:
    """Check that the patch size divides frames ``(..., H, W)``.

    Raises:
        ValueError: if it does not; names a size that would fit.
    """
    height, width = frames.shape[-2:]
    patch_h, patch_w = patch_size
    if height % patch_h or width % patch_w:
        near = (max(height // patch_h, 1) * patch_h, max(width // patch_w, 1) * patch_w)
        raise ValueError(
            f'the backbone cuts frames into patches of {patch_h}x{patch_w} pixels, which do '
            f'not divide a frame of {height}x{width}. Set the crop size to {near[0]}x{near[1]}, or '
            'the patch_size of the backbone to a divisor of the crop size.'
        )


def split_linear(layer: nn.Linear, sizes: Sequence[int]) -> list[Callable[[Tensor], Tensor]]:
    """Parts of a linear map, each of which gives so many of its outputs as ``sizes`` says."""
    weights = layer.weight.split(sizes)
    biases = [None] * len(sizes) if layer.bias is None else layer.bias.split(sizes)
    return [
        partial(linear, weight=weight, bias=bias)
        for weight, bias in zip(weights, biases, strict=True)
    ]


def class_token_block(layer: nn.Module, tokens: Tensor) -> Tensor:
    """Class tokens ``(N, 1, D)`` after a block of mmpretrain's ViT on tokens ``(N, L, D)``.

    Of the other tokens only keys and values are computed.
    """
    attn = layer.attn
    if type(attn.qkv) is not Linear:  # an adapter (LoRA, say): its weights cannot be split
        return layer(tokens)[:, :1]
    query_of, key_value_of = split_linear(attn.qkv, [attn.embed_dims, 2 * attn.embed_dims])
    normed = layer.ln1(tokens)
    query, key, value = (
        part.unflatten(-1, (attn.num_heads, attn.head_dims)).transpose(1, 2)
        for part in (query_of(normed[:, :1]), *key_value_of(normed).chunk(2, dim=-1))
    )
    attended = attn.scaled_dot_product_attention(
        query, key, value, dropout_p=attn.attn_drop if attn.training else 0.0
    )
    attended = attn.proj(attended.transpose(1, 2).flatten(2))
    class_token = tokens[:, :1] + attn.out_drop(attn.gamma1(attn.proj_drop(attended)))
    return layer.ffn(layer.ln2(class_token), identity=class_token)


class FrozenStages(nn.Module):
    """Mixin that freezes a backbone's first blocks and all before them (no gradients or drop path).

    List it before the backbone's class among the bases. That class has ``num_layers`` and
    ``_freeze_stages()``, which freezes ``frozen_stages`` blocks and puts them into evaluation mode.
    """

    num_layers: int
    _freeze_stages: Callable[[], None]
    frozen_stages = -1

    def freeze(self, frozen_stages: int) -> None:
        """Freeze the first blocks; none if ``frozen_stages`` is not positive.

        Raises:
            ValueError: if there are fewer blocks.
        """
        if frozen_stages > self.num_layers:
            raise ValueError(
                f'frozen_stages={frozen_stages}, but the backbone has {self.num_layers} blocks; '
                f'frozen_stages={self.num_layers} freezes all of it'
            )
        self.frozen_stages = frozen_stages
        if frozen_stages > 0:
            self._freeze_stages()

    def train(self, mode: bool = True) -> 'FrozenStages':
        """Set the mode; frozen parts stay in evaluation mode. (mmpretrain's returns nothing.)"""
        super().train(mode)
        if mode and self.frozen_stages > 0:
            self._freeze_stages()
        return self


def use_plain_drop_rates(backbone: nn.Module) -> None:
    """Turn NumPy's numbers in ``DropPath`` into Python's, in place.

    mmpretrain and mmaction2 set them; ``torch.compile`` takes them for tensors and so breaks its
    graph at every block.
    """
    for module in backbone.modules():
        if hasattr(module, 'drop_prob'):
            module.drop_prob = float(module.drop_prob)


class PatchViT(FrozenStages, VisionTransformer):
    """Base of our ViTs: mmpretrain's ``VisionTransformer`` with freezing and resized positions."""

    interpolate_offset = 0.0

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        Linear.adopt(self)
        use_plain_drop_rates(self)

    @property
    def patch_size(self) -> tuple[int, int]:
        """Height and width of a patch, in pixels."""
        return tuple(self.patch_embed.projection.stride)

    def _add_positions(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """Embedded patches ``(N, h * w, D)`` -> input of the first block, class token in front."""
        if self.cls_token is not None:
            patches = torch.cat((self.cls_token.expand(patches.shape[0], -1, -1), patches), dim=1)
        positions = resize_pos_embed(
            self.pos_embed,
            self.patch_resolution,
            grid,
            self.num_extra_tokens,
            self.interpolate_mode,
            self.interpolate_offset,
        )
        return self.pre_norm(self.drop_after_pos(patches + positions))
