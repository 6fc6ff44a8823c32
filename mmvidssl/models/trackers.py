"""Tracker that finds objects in the first frame of a clip and follows them through it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import get_rank, get_world_size
from mmengine.model import BaseModule
from torch import Tensor

from mmvidssl.registry import MODELS

from .utils import FrameTokens, TrackResult, counted_generator, sinkhorn_knopp

MASK_TYPES = ('hard', 'soft')
THRESHOLDS = ('map', 'batch')
DRAWS = ('step', 'pass')


@MODELS.register_module()
class MultiObjectTracker(BaseModule):
    """DoRA's tracker: finds objects by attention heads, follows them by cross-attention.

    One attention head stands for one object: the queries of the first frame, averaged by the head's
    class attention, are the object's prototype. Sinkhorn-Knopp assigns the patches to prototypes
    and so refines these; the refined prototypes attend to the keys of every frame.

    Args:
        num_objects: Number ``O`` of objects, at most the number of heads.
        heads: Indices of the heads to use, ``num_objects`` different ones. None: random ones in
            training, the first ones in evaluation mode. A draw depends only on ``seed`` and the
            number of draws before it, so a resumed run draws what it would have drawn.
        draw_heads: When heads are drawn: once per optimizer ``'step'``, the same for all its passes
            and ranks, until :meth:`finish_step`; or in each forward ``'pass'``, on each rank
            separately. (Then accumulated passes draw what as many ranks would.)
        seed: Seed of these draws.
        block: The block of the teacher's backbone whose query, keys and class attention are used;
            negative counts from the end. The caller passes it on to ``forward_tokens``.
        use_sinkhorn: Whether prototypes are refined. Off in one row of the paper's ablation.
        epsilon: Strength of the entropy in :func:`mmvidssl.models.utils.sinkhorn_knopp`.
        num_iters: Number of its iterations.
        normalize_features: Whether patch tokens are scaled to unit length before they are compared
            with the prototypes and summed to refined ones.
        mask_type: ``'hard'`` thresholds each map at a mean; ``'soft'`` divides it by its maximum.
        threshold: What the mean of a hard mask is taken over: each ``'map'``; or, for an object and
            a frame, the maps of the whole ``'batch'`` (scaled to unit length first), so that a
            sample's mask depends on the other samples.

    Source: DoRA, section 3.2, equations 1 to 6. Differs from the released code: heads are drawn
    from a seed, and by default the same on all ranks; there each rank draws its own
    (``draw_heads='pass'``), and masks are those of ``threshold='batch'``. Not found in the paper:
    ``epsilon``, ``num_iters``, ``normalize_features``, ``mask_type``; the released code's values.
    """

    num_draws: Tensor

    def __init__(
        self,
        num_objects: int = 3,
        heads: Sequence[int] | None = None,
        draw_heads: str = 'step',
        seed: int = 0,
        block: int = -1,
        use_sinkhorn: bool = True,
        epsilon: float = 0.05,
        num_iters: int = 30,
        normalize_features: bool = True,
        mask_type: str = 'hard',
        threshold: str = 'map',
    ) -> None:
        super().__init__()
        if num_objects < 1:
            raise ValueError(f'num_objects must be at least 1, got {num_objects}')
        if heads is not None and (
            len(heads) != num_objects or len(set(heads)) != num_objects or min(heads) < 0
        ):
            raise ValueError(
                f'heads must name {num_objects} different attention heads (one for each of '
                f'num_objects={num_objects}) by their index from 0, got {list(heads)}'
            )
        if mask_type not in MASK_TYPES:
            raise ValueError(f'mask_type must be one of {MASK_TYPES}, got {mask_type!r}')
        if threshold not in THRESHOLDS:
            raise ValueError(f'threshold must be one of {THRESHOLDS}, got {threshold!r}')
        if draw_heads not in DRAWS:
            raise ValueError(f'draw_heads must be one of {DRAWS}, got {draw_heads!r}')
        self.num_objects = num_objects
        self.heads = None if heads is None else tuple(heads)
        self.draw_heads = draw_heads
        self.seed = seed
        self.block = block
        self.use_sinkhorn = use_sinkhorn
        self.epsilon = epsilon
        self.num_iters = num_iters
        self.normalize_features = normalize_features
        self.mask_type = mask_type
        self.threshold = threshold
        self.register_buffer('num_draws', torch.zeros((), dtype=torch.long))

    def check_backbone(self, num_heads: int, num_layers: int | None = None) -> None:
        """Check that a backbone has the heads and, if ``num_layers`` is given, the block asked for.

        Raises:
            ValueError: names what the tracker asks for and what the backbone has.
        """
        needed = max(self.num_objects, *(head + 1 for head in self.heads or (0,)))
        if needed > num_heads:
            asked = f'heads={list(self.heads)}' if self.heads else f'num_objects={self.num_objects}'
            raise ValueError(
                f'the tracker has {asked}, but the backbone has {num_heads} attention heads, and '
                'each object is found by a head of its own. Use fewer objects or a backbone with '
                'more heads.'
            )
        if num_layers is not None and not -num_layers <= self.block < num_layers:
            raise ValueError(
                f'the tracker has block={self.block}, but the backbone has {num_layers} blocks: '
                f'use 0 to {num_layers - 1}, or -{num_layers} to -1 to count from the end.'
            )

    @torch.compiler.disable
    @torch.no_grad()
    def forward(self, tokens: FrameTokens) -> TrackResult:
        """Track the objects of a batch of clips; see :class:`TrackResult`.

        Raises:
            ValueError: if there are fewer heads than objects.
        """
        heads = self.select_heads(tokens.class_attention.shape[1])
        # Autocast would undo the float() of each step.
        with torch.autocast(tokens.patches.device.type, enabled=False):
            return self.track(tokens, heads)

    def track(self, tokens: FrameTokens, heads: tuple[int, ...]) -> TrackResult:
        """Track the objects that the given heads find, in float32."""
        prototypes = self.discover(tokens, heads)
        assignment = None
        refined = prototypes
        if self.use_sinkhorn:
            features, scores = self.compare(tokens, prototypes)
            assignment = sinkhorn_knopp(scores, self.epsilon, self.num_iters)
            refined = torch.einsum('bno,bnd->bod', assignment, features)
        maps = self.attend(refined, tokens)
        masks = self.threshold_maps(maps)
        return TrackResult(
            masks=masks.unflatten(-1, tokens.grid),
            maps=maps.unflatten(-1, tokens.grid),
            prototypes=prototypes,
            assignment=assignment,
            heads=heads,
        )

    def select_heads(self, num_heads: int) -> tuple[int, ...]:
        """Indices of the heads for a forward pass: given, drawn, or in evaluation the first."""
        self.check_backbone(num_heads)
        if self.heads is not None:
            return self.heads
        if not self.training:
            return tuple(range(self.num_objects))
        draw = int(self.num_draws)
        if self.draw_heads == 'pass':
            draw = draw * get_world_size() + get_rank()
            self.num_draws += 1
        order = torch.randperm(num_heads, generator=counted_generator(self.seed, draw))
        return tuple(order[: self.num_objects].tolist())

    def finish_step(self) -> None:
        """End an optimizer step: with ``draw_heads='step'``, the next pass draws heads anew."""
        if self.heads is None and self.draw_heads == 'step':
            self.num_draws += 1

    @staticmethod
    def discover(tokens: FrameTokens, heads: Sequence[int]) -> Tensor:
        """Prototypes ``(B, O, D)``: queries averaged by the attention of each head (equation 2).

        The queries of all heads are concatenated, ``D = heads * d``.
        """
        query = tokens.query[:, :, 1:].transpose(1, 2).flatten(2).float()
        attention = tokens.class_attention[:, list(heads)].float()
        return torch.einsum('bon,bnd->bod', attention, query)

    def compare(self, tokens: FrameTokens, prototypes: Tensor) -> tuple[Tensor, Tensor]:
        """Patch features ``(B, N, D)`` and their scores for each prototype, ``(B, N, O)``."""
        features = tokens.patches.float()
        if self.normalize_features:
            features = F.normalize(features, dim=-1)
        return features, torch.einsum('bnd,bod->bno', features, prototypes)

    @staticmethod
    def attend(prototypes: Tensor, tokens: FrameTokens) -> Tensor:
        """Cross-attention maps ``(O, B, T, N)`` of prototypes to all frames (equation 6)."""
        key = tokens.key[:, :, :, 1:].transpose(2, 3).flatten(3).float()
        scores = torch.einsum('bod,tbnd->obtn', prototypes, key)
        return (scores * key.shape[-1] ** -0.5).softmax(dim=-1)

    def threshold_maps(self, maps: Tensor) -> Tensor:
        """Maps ``(O, B, T, N)`` -> masks of the same shape, bool or soft."""
        if self.mask_type == 'soft':
            return maps / maps.amax(dim=-1, keepdim=True)
        if self.threshold == 'map':
            return maps > maps.mean(dim=-1, keepdim=True)
        unit = F.normalize(maps, dim=-1)
        return unit > unit.mean(dim=(1, 3), keepdim=True)
