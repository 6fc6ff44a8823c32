"""Base of target generators that let another model, a teacher, compute the targets."""

import logging
from collections.abc import Sequence
from typing import TypedDict

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from mmvidssl.registry import MODELS
from mmvidssl.utils.init_cfg import listed

from .base import PatchTargetGenerator


class Norm(TypedDict):
    """Mean and standard deviation of each channel, in the range 0 to 255."""

    mean: Sequence[float]
    std: Sequence[float]


class TeacherGenerator(PatchTargetGenerator):
    """Base of target generators with a teacher: a model in evaluation mode, without gradients.

    Its weights are part of the state (and so of checkpoints): a resumed run has the same teacher.

    Args:
        teacher: Config of any model in the registries, with its ``init_cfg``, whose file must cover
            the model; ``PretrainedReportHook``, a default hook of the configs, checks that.
        input_norm: ``mean`` and ``std`` that the clip was normalised with (those of the data
            preprocessor, with which the algorithm compares them).
        teacher_norm: ``mean`` and ``std`` that the teacher expects. Give both norms, or neither:
            then the teacher gets the clip as it is.
        **kwargs: As in :class:`PatchTargetGenerator`, except ``frames='all'``.
    """

    REMOVED = dict(clip_norm='it is called input_norm now')
    scale: Tensor | None
    shift: Tensor | None

    def __init__(
        self,
        teacher: dict,
        input_norm: Norm | None = None,
        teacher_norm: Norm | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if self.num_target_frames > 1:
            raise ValueError(
                f"{type(self).__name__} takes frames='center' alone; 'all' is for HOGGenerator and "
                'PixelGenerator'
            )
        self.input_norm = input_norm
        self.teacher = MODELS.build(teacher).requires_grad_(False)
        self._weights = _named_weights(teacher)
        configs = [getattr(module, 'init_cfg', None) for module in self.teacher.modules()]
        checked = [entry.get('checkpoint') for cfg in configs for entry in listed(cfg)]
        files = [n for n in self._weights if isinstance(n, str) and n not in checked]
        if files:
            raise ValueError(
                f'the {type(self.teacher).__name__} of this {type(self).__name__} would load '
                f'{files[0]} by itself, whatever of it fits. Set, in its config, '
                f"init_cfg=dict(type='Pretrained', checkpoint={files[0]!r}), which is checked."
            )
        scale, shift = _renormalization(input_norm, teacher_norm)
        self.register_buffer('scale', scale, persistent=False)
        self.register_buffer('shift', shift, persistent=False)
        self.train(self.training)

    def train(self, mode: bool = True) -> 'TeacherGenerator':
        """Switch this module; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def init_weights(self) -> None:
        """Initialise the teacher, usually from a checkpoint; warn if its config names none."""
        super().init_weights()
        self._check_weights()

    def _check_weights(self) -> None:
        if not self._weights:
            print_log(
                f'{type(self).__name__}: the config of its {type(self.teacher).__name__} names no '
                'checkpoint, so targets come from random weights unless load_from brings them. '
                "Set init_cfg=dict(type='Pretrained', checkpoint=...) there.",
                logger='current',
                level=logging.WARNING,
            )

    def _renormalize(self, pixels: Tensor) -> Tensor:
        """Pixels ``(B, C, ...)`` normalised by ``input_norm`` -> by ``teacher_norm``."""
        if self.scale is None or self.shift is None:
            return pixels
        shape = (-1,) + (1,) * (pixels.ndim - 2)
        return pixels * self.scale.view(shape) + self.shift.view(shape)


def _named_weights(cfg) -> list:
    """All values of ``checkpoint`` and ``pretrained`` in a model's config, at any depth."""
    if isinstance(cfg, dict):
        own = [value for key in ('checkpoint', 'pretrained') if (value := cfg.get(key))]
        return own + _named_weights(list(cfg.values()))
    if isinstance(cfg, (list, tuple)):
        return [weights for value in cfg for weights in _named_weights(value)]
    return []


def _renormalization(
    source: Norm | None, target: Norm | None
) -> tuple[Tensor | None, Tensor | None]:
    """``scale`` and ``shift`` of each channel that turn one normalisation into another."""
    if source is None and target is None:
        return None, None
    if source is None or target is None:
        raise ValueError(
            'input_norm and teacher_norm go together, each dict(mean=..., std=...); got '
            f'input_norm={source} and teacher_norm={target}'
        )
    values = [torch.tensor(norm[key]) for norm in (source, target) for key in ('mean', 'std')]
    mean, std, wanted_mean, wanted_std = values
    return std / wanted_std, (mean - wanted_mean) / wanted_std


def last_feature_map(outputs: Tensor | Sequence[Tensor], ndim: int, model: object) -> Tensor:
    """The last feature map of what a backbone puts out, ``(B, D, h, w)`` or ``(B, D, t, h, w)``.

    Raises:
        ValueError: if the last output is no map of ``ndim`` axes.
    """
    last = outputs if isinstance(outputs, Tensor) else outputs[-1]
    # mmaction2's MViT puts out [map, class token].
    if not isinstance(last, Tensor):
        last = last[0]
    if last.ndim != ndim:
        axes = '(B, D, h, w)' if ndim == 4 else '(B, D, t, h, w)'
        raise ValueError(
            f'{type(model).__name__} must put out feature maps {axes}, got a tensor of the shape '
            f"{tuple(last.shape)}. Set its out_type='featmap' (a ViT), or give a backbone instead "
            'of a whole model.'
        )
    return last


def resize_maps(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """``(M, D, h, w)`` -> ``(M, D, *grid)`` float32, bilinear, antialiased where it shrinks."""
    maps = maps.float()
    if maps.shape[-2:] == grid:
        return maps
    return F.interpolate(maps, size=grid, mode='bilinear', align_corners=False, antialias=True)


def maps_to_tokens(maps: Tensor, num_steps: int) -> Tensor:
    """``(B * t, D, h, w)`` -> ``(B, t * h * w, D)``."""
    tokens = maps.flatten(2).transpose(1, 2)
    return tokens.unflatten(0, (-1, num_steps)).flatten(1, 2)
