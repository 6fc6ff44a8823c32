"""What is taken out of a backbone: which blocks, and how their tokens are pooled."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

ROLES = ('teacher', 'student')
POOLS = ('class', 'mean', 'none')


def select_backbone(model: nn.Module, role: str | None = None) -> nn.Module:
    """The student's or the teacher's backbone of a model.

    Args:
        model: An algorithm, or a classifier, detector, ... with a ``backbone``.
        role: ``'teacher'``, ``'student'``, or None: the teacher's if there is a teacher.

    Raises:
        ValueError: If ``role`` is none of these, or the model has no teacher or no backbone.
    """
    if role not in (*ROLES, None):
        raise ValueError(f'role must be one of {ROLES}, got {role!r}')
    has_teacher = hasattr(model, 'teacher')
    if role == 'teacher' and not has_teacher:
        raise ValueError(f'{type(model).__name__} has no teacher; use role="student"')
    if not hasattr(model, 'backbone'):
        raise ValueError(f'{type(model).__name__} has no backbone')
    return model.teacher.backbone if has_teacher and role != 'student' else model.backbone


class FeatureExtractor(nn.Module):
    """A backbone and its preprocessing, as one function from pixels to features.

    Tokens of a ViT's blocks all go through its last norm, as DINO does where it takes several.
    The blocks of an MViT differ in width, so only the last one's go through the norm. Where a
    backbone gives its classifier the norm of the mean of the patch tokens, so does ``'mean'``, and
    not the mean of their norms: ``PooledMViT``, and ViTs whose ``out_type`` is ``'avg_featmap'``
    (whose norm of the mean, as ever, every block of those asked for goes through).

    Args:
        model: An algorithm with a ViT or an MViT, or a downstream model with one.
        layers: Number of a block, or of several whose features stand beside each other; negative
            numbers count from the end.
        pool: ``'class'`` (the class token), ``'mean'`` (of the patch tokens), ``'none'`` (all patch
            tokens, in the order ``t, h, w``), or None: the class token of a backbone whose
            ``out_type`` is that (DINO, DoRA), and the mean of any other (MaskFeat trains no class
            token).
        role: See :func:`select_backbone`.

    Raises:
        ValueError: if there is no such block, pooling, class token or role, or the model does not
            say how it normalises pixels.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: int | Sequence[int] = -1,
        pool: str | None = None,
        role: str | None = None,
    ) -> None:
        super().__init__()
        self.backbone = select_backbone(model, role)
        name = type(self.backbone).__name__
        if not isinstance(getattr(self.backbone, _blocks_name(self.backbone), None), nn.ModuleList):
            raise ValueError(f'{name} is neither a ViT nor an MViT; it has no list of blocks')
        numbers = (layers,) if isinstance(layers, int) else tuple(layers)
        self.layers = tuple(self._number(layer) for layer in numbers)
        if not numbers or pool not in (*POOLS, None):
            raise ValueError(
                f'pool must be one of {POOLS}, layers not empty, got {pool!r}, {layers}'
            )
        is_class = getattr(self.backbone, 'out_type', None) == 'cls_token'
        self.pool = pool or ('class' if is_class else 'mean')
        if self.pool == 'class' and not self.num_class_tokens:
            raise ValueError(f"this {name} has no class token; use pool='mean'")
        mean, std = _find_normalization(model)
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)

    def _number(self, layer: int) -> int:
        count = len(self.blocks)
        if not -count <= layer < count:
            raise ValueError(
                f'layers may be 0 to {count - 1} or -{count} to -1: {type(self.backbone).__name__} '
                f'has {count} blocks, got {layer}'
            )
        return layer % count

    @property
    def blocks(self) -> nn.ModuleList:
        """The backbone's blocks."""
        return getattr(self.backbone, _blocks_name(self.backbone))

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
        if not isinstance(projection, nn.Conv3d) or _takes_images(self.backbone):
            return None
        return self.backbone.patch_resolution[0] * projection.stride[0]

    def forward(self, pixels: Tensor) -> Tensor:
        """Features.

        Args:
            pixels: RGB from 0 to 255, frames ``(B, 3, H, W)``, or clips ``(B, 3, T, H, W)`` where
                ``clip_len`` is not None.

        Returns:
            ``(B, L * D)`` for ``L`` layers, or ``(B, N, L * D)`` with ``pool='none'``.
        """
        shape = (1, -1) + (1,) * (pixels.ndim - 2)
        inputs = (pixels.float() - self.mean.view(shape)) / self.std.view(shape)
        outputs = self._run(inputs)
        pooled = [self._pooled(outputs[layer], layer) for layer in self.layers]
        if self.pool == 'none' and len({int(features.shape[1]) for features in pooled}) > 1:
            raise ValueError(
                f'layers {self.layers} give {[tuple(f.shape) for f in pooled]}, which cannot '
                "stand beside each other; use pool='mean' or layers of one grid"
            )
        return torch.cat(pooled, dim=-1)

    def _run(self, inputs: Tensor) -> dict[int, Tensor]:
        """What the wanted blocks put out, ``(B, 1 + N, D)`` by number of the block."""
        outputs: dict[int, Tensor] = {}

        def keep(layer: int):
            def hook(block, args, output) -> None:  # an MViT's block puts out its grid as well
                outputs[layer] = output[0] if isinstance(output, tuple) else output

            return hook

        hooks = [self.blocks[layer].register_forward_hook(keep(layer)) for layer in self.layers]
        try:
            self.backbone(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs

    def _normed(self, tokens: Tensor, layer: int) -> Tensor:
        backbone = self.backbone
        if hasattr(backbone, 'final_norm'):  # a ViT
            return backbone.ln1(tokens) if backbone.final_norm else tokens
        is_last = layer == len(self.blocks) - 1
        norm = getattr(backbone, f'norm{backbone.num_scales - 1}', None) if is_last else None
        return tokens if norm is None else norm(tokens)

    def _pooled(self, tokens: Tensor, layer: int) -> Tensor:
        """``(B, 1 + N, D)`` to ``(B, D)``, or to ``(B, N, D)`` with ``pool='none'``."""
        if self.pool == 'mean' and getattr(self.backbone, 'norms_mean', False):  # PooledMViT
            return self._normed(self._patches(tokens).mean(dim=1), layer)
        tokens = self._normed(tokens, layer)
        if self.pool == 'class':
            return tokens[:, 0]
        if self.pool == 'none':
            return self._patches(tokens)
        mean = self._patches(tokens).mean(dim=1)
        is_normed_again = getattr(self.backbone, 'out_type', None) == 'avg_featmap'
        return self.backbone.ln2(mean) if is_normed_again else mean

    def _patches(self, tokens: Tensor) -> Tensor:
        return tokens[:, self.num_class_tokens :]


def _blocks_name(backbone: nn.Module) -> str:
    return 'blocks' if hasattr(backbone, 'blocks') else 'layers'


def _takes_images(backbone: nn.Module) -> bool:
    """Whether a backbone with a patch embedding of clips makes clips of images itself."""
    from mmvidssl.models import backbones

    image_mvit = getattr(backbones, 'ImageMViT', None)  # absent without mmaction2
    return image_mvit is not None and isinstance(backbone, image_mvit)


def _find_normalization(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``(3,)`` that the model's data preprocessor applies."""
    preprocessor = model.data_preprocessor
    mean, std = getattr(preprocessor, 'mean', None), getattr(preprocessor, 'std', None)
    if not isinstance(mean, Tensor) or not isinstance(std, Tensor):
        raise ValueError(
            f'{type(preprocessor).__name__} has no mean and std, by which pixels are normalised; '
            'set both in model.data_preprocessor of the config'
        )
    return mean.detach().flatten().clone(), std.detach().flatten().clone()
