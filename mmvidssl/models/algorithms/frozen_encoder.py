"""A frozen backbone, for evaluations that only need its features."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmvidssl.registry import MODELS
from mmvidssl.structures import VidSSLDataSample

POOLS = ('class', 'mean', 'none')


@MODELS.register_module()
class FrozenEncoder(BaseModel):
    """A frozen backbone that normalises pixels and puts their features into data samples.

    A ViT's last norm is applied to the tokens of every block in ``layers``, as DINO does; that of
    an MViT, whose blocks differ in width, to those of its last block only. With ``pool='mean'``, a
    backbone that normalises after it averages patch tokens does so here: ``PooledMViT``, and a ViT
    with ``out_type='avg_featmap'``, whose ``ln2`` is applied to the mean of every block.

    Its only weights are the backbone's, so ``tools/test.py`` loads training checkpoints (of DINO
    and DoRA, the teacher) and published backbones into it.

    Args:
        backbone: A ViT, for frames, or an MViT, for clips, or its config.
        mean: ``(3,)`` of RGB from 0 to 255; ImageNet's by default.
        std: ``(3,)``, standard deviation of the same.
        layers: Index of a block, or of several whose features are concatenated; negative indices
            count from the end.
        pool: ``'class'`` (the class token), ``'mean'`` (of the patch tokens), ``'none'`` (all patch
            tokens, in the order ``t, h, w``), or None: the class token of a backbone whose
            ``out_type`` is that (DINO, DoRA), and the mean of any other (MaskFeat trains no class
            token).
        keys: Whether to put ``key`` into data samples: the keys of the last block's attention,
            heads concatenated. ViTs only.
        attention: Likewise ``attention``, of the last block's class token to the patches.
        bgr_to_rgb: Whether inputs of :meth:`predict` are BGR, as mmcv reads images.
        max_pixels: Most pixels in a forward pass, to bound memory; at least one frame or clip goes.
        data_preprocessor: As in MMEngine; only moves data to the device by default.

    Raises:
        ValueError: if there is no such block, pooling or class token.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        mean: Sequence[float] | Tensor = (123.675, 116.28, 103.53),
        std: Sequence[float] | Tensor = (58.395, 57.12, 57.375),
        layers: int | Sequence[int] = -1,
        pool: str | None = None,
        keys: bool = False,
        attention: bool = False,
        bgr_to_rgb: bool = False,
        max_pixels: int = 64 * 224 * 224,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        self.backbone = MODELS.build(backbone) if isinstance(backbone, dict) else backbone
        name = type(self.backbone).__name__
        if not isinstance(self.blocks, nn.ModuleList):
            raise ValueError(f'{name} is neither a ViT nor an MViT; it has no list of blocks')
        numbers = (layers,) if isinstance(layers, int) else tuple(layers)
        count = len(self.blocks)
        if not numbers or not all(-count <= number < count for number in numbers):
            raise ValueError(
                f'layers must be in [-{count}, {count}), at least one: {name} has {count} blocks, '
                f'got {layers}'
            )
        self.layers = tuple(number % count for number in numbers)
        if pool not in (*POOLS, None):
            raise ValueError(f'pool must be one of {POOLS}, got {pool!r}')
        is_class = getattr(self.backbone, 'out_type', None) == 'cls_token'
        self.pool = pool or ('class' if is_class else 'mean')
        if (self.pool == 'class' or attention) and not self.num_class_tokens:
            raise ValueError(f"this {name} has no class token; use pool='mean', and no attention")
        if (keys or attention) and not hasattr(self.backbone, 'final_norm'):
            raise ValueError(f'keys and attention are those of a ViT; this is a {name}')
        self.keys, self.attention = keys, attention
        self.bgr_to_rgb, self.max_pixels = bgr_to_rgb, max_pixels
        for buffer, values in dict(mean=mean, std=std).items():
            tensor = torch.as_tensor(values, dtype=torch.float32).flatten()
            self.register_buffer(buffer, tensor, persistent=False)

    @property
    def blocks(self) -> nn.ModuleList:
        """The backbone's blocks."""
        return getattr(self.backbone, 'blocks', getattr(self.backbone, 'layers', None))

    @property
    def num_class_tokens(self) -> int:
        """Tokens before those of the patches, 0 or 1."""
        if hasattr(self.backbone, 'num_extra_tokens') and hasattr(self.backbone, 'ln1'):
            return self.backbone.num_extra_tokens
        return int(getattr(self.backbone, 'with_cls_token', self.backbone.cls_token is not None))

    @property
    def clip_len(self) -> int | None:
        """Frames of the clips that the backbone was built for; None if it takes single frames."""
        projection = self.backbone.patch_embed.projection
        if not isinstance(projection, nn.Conv3d) or getattr(self.backbone, 'takes_images', False):
            return None
        return self.backbone.patch_resolution[0] * projection.stride[0]

    @property
    def frame_size(self) -> int:
        """Pixels of the (shorter) side of the frames that the backbone was built for."""
        strides = self.backbone.patch_embed.projection.stride[-2:]
        grid = self.backbone.patch_resolution[-2:]
        return min(tokens * stride for tokens, stride in zip(grid, strides, strict=True))

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor'
    ) -> Tensor | list:
        """Features of a batch; with ``mode='predict'`` see :meth:`predict`.

        Args:
            inputs: RGB from 0 to 255, frames ``(B, 3, H, W)``, or clips ``(B, 3, T, H, W)`` where
                ``clip_len`` is not None.
            data_samples: For ``'predict'``.
            mode: ``'tensor'`` or ``'predict'``; there is no loss.

        Returns:
            ``(B, L * D)`` for ``L`` layers, or ``(B, N, L * D)`` with ``pool='none'``.
        """
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode != 'tensor':
            raise ValueError(f"mode must be 'tensor' or 'predict', got {mode!r}")
        return self._encode(inputs)[0]['features']

    @torch.no_grad()
    def predict(self, inputs: Sequence[Tensor], data_samples: list) -> list:
        """Put ``features`` into data samples, float32 on the model's device.

        Args:
            inputs: One a sample, uint8: a frame ``(3, H, W)`` or frames ``(T, 3, H, W)``; for a
                backbone of clips a clip ``(3, T, H, W)`` or clips ``(M, 3, T, H, W)``.
            data_samples: One for each input.

        Returns:
            Each as a :class:`VidSSLDataSample`, with ``features`` ``(D,)`` of a frame or clip and
            ``(T, D)`` or ``(M, D)`` of several. With ``pool='none'`` the token grid comes before
            ``D``, ``(T, h, w, D)``, as always in ``key``. ``attention`` is ``(T, heads, h, w)``.

        Raises:
            ValueError: if an input has another form.
        """
        batches = [self._to_batch(pixels) for pixels in inputs]
        sizes = [len(batch) for batch in batches]
        if len({batch.shape[1:] for batch in batches}) == 1:
            whole = self._encode_all(torch.cat(batches))
            parts = {name: values.split(sizes) for name, values in whole.items()}
            found = [{name: parts[name][i] for name in parts} for i in range(len(sizes))]
        else:
            found = [self._encode_all(batch) for batch in batches]
        samples = []
        for pixels, sample, values in zip(inputs, data_samples, found, strict=True):
            if pixels.ndim == (3 if self.clip_len is None else 4):
                values = {name: value[0] for name, value in values.items()}
            data = {**dict(sample.items()), **values}  # mmaction2's type-checks ``features``
            samples.append(VidSSLDataSample(metainfo=sample.metainfo, **data))
        return samples

    def _to_batch(self, pixels: Tensor) -> Tensor:
        """Frames ``(T, 3, H, W)`` or clips ``(M, 3, T, H, W)``."""
        kind, ndim = (
            ('a frame (3, H, W)', 3) if self.clip_len is None else ('a clip (3, T, H, W)', 4)
        )
        batch = pixels[None] if pixels.ndim == ndim else pixels
        if batch.ndim != ndim + 1 or batch.shape[1] != 3 or batch.dtype != torch.uint8:
            raise ValueError(
                f'{type(self.backbone).__name__} takes {kind} of uint8, or several, got '
                f'{tuple(pixels.shape)} of {pixels.dtype}'
            )
        return batch.flip(1) if self.bgr_to_rgb else batch

    def _encode_all(self, batch: Tensor) -> dict[str, Tensor]:
        """Features (and keys, attention) of all frames or clips, ``max_pixels`` at a time."""
        whole: dict[str, Tensor] = {}
        step = max(1, self.max_pixels // batch[0, 0].numel())
        for start in range(0, len(batch), step):
            found, grid = self._encode(batch[start : start + step])
            for name, part in found.items():
                if name != 'features' or self.pool == 'none':
                    part = part.unflatten(-1 if name == 'attention' else 1, grid)
                if name not in whole:
                    shape = len(batch), *part.shape[1:]
                    whole[name] = part.new_empty(shape, dtype=torch.float32)
                whole[name][start : start + step] = part
        return whole

    def _encode(self, pixels: Tensor) -> tuple[dict[str, Tensor], list[int]]:
        """Features (and keys, attention), tokens along one axis, and the token grid."""
        shape = (1, -1) + (1,) * (pixels.ndim - 2)
        outputs, qkv, grid = self._run(
            (pixels.float() - self.mean.view(shape)) / self.std.view(shape)
        )
        pooled = [self._pooled(outputs[layer], layer) for layer in self.layers]
        if self.pool == 'none' and len({int(features.shape[1]) for features in pooled}) > 1:
            raise ValueError(
                f'layers {self.layers} give {[tuple(f.shape) for f in pooled]}, which cannot '
                "be concatenated; use pool='mean' or layers of one grid"
            )
        found = dict(features=torch.cat(pooled, dim=-1))
        patches = slice(self.num_class_tokens, None)
        if self.keys:
            found['key'] = qkv.chunk(3, dim=-1)[1][:, patches]
        if self.attention:
            heads = self.blocks[-1].attn.num_heads
            query, key, _ = (part.unflatten(-1, (heads, -1)) for part in qkv.chunk(3, dim=-1))
            row = torch.einsum('bhd,bnhd->bhn', query[:, 0], key) * query.shape[-1] ** -0.5
            found['attention'] = row.softmax(dim=-1)[..., patches]
        return found, grid

    def _run(self, inputs: Tensor) -> tuple[dict[int, Tensor], Tensor, list[int]]:
        """Outputs ``(B, 1 + N, D)`` of ``layers``, the last block's ``qkv``, and the token grid."""
        outputs: dict[int, Tensor] = {}
        others: dict[str, Tensor] = {}

        def keep(layer: int):
            def hook(block, args, output) -> None:  # an MViT's block puts out its grid as well
                outputs[layer] = output[0] if isinstance(output, tuple) else output
                if isinstance(output, tuple):
                    others['grid'] = output[1]

            return hook

        def keep_other(name: str, index=slice(None)):
            return lambda module, args, output: others.update({name: output[index]})

        hooks = [self.blocks[layer].register_forward_hook(keep(layer)) for layer in self.layers]
        hooks.append(self.backbone.patch_embed.register_forward_hook(keep_other('grid', 1)))
        if self.keys or self.attention:
            qkv = self.blocks[-1].attn.qkv
            hooks.append(qkv.register_forward_hook(keep_other('qkv')))
        try:
            self.backbone(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs, others.get('qkv'), list(others['grid'])

    def _normed(self, tokens: Tensor, layer: int) -> Tensor:
        backbone = self.backbone
        if hasattr(backbone, 'final_norm'):  # a ViT
            return backbone.ln1(tokens) if backbone.final_norm else tokens
        is_last = layer == len(self.blocks) - 1
        norm = getattr(backbone, f'norm{backbone.num_scales - 1}', None) if is_last else None
        return tokens if norm is None else norm(tokens)

    def _pooled(self, tokens: Tensor, layer: int) -> Tensor:
        """``(B, 1 + N, D)`` to ``(B, D)``, or to ``(B, N, D)`` with ``pool='none'``."""
        patches = slice(self.num_class_tokens, None)
        if self.pool == 'mean' and getattr(self.backbone, 'norms_mean', False):  # PooledMViT
            return self._normed(tokens[:, patches].mean(dim=1), layer)
        tokens = self._normed(tokens, layer)
        if self.pool == 'class':
            return tokens[:, 0]
        if self.pool == 'none':
            return tokens[:, patches]
        mean = tokens[:, patches].mean(dim=1)
        is_normed_again = getattr(self.backbone, 'out_type', None) == 'avg_featmap'
        return self.backbone.ln2(mean) if is_normed_again else mean
