"""Base of the algorithms: health, MMEngine's entry point, checks of parts."""

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from ..utils import health_figures


class BaseAlgorithm(BaseModel):
    """Base of the algorithms: MMEngine's ``BaseModel``, with health measures of its training.

    A subclass has ``loss(inputs, data_samples)``, ``extract_feat(clip)`` and ``predict(clip)``.

    Attributes:
        measure_health: Whether ``loss`` measures its batch; ``HealthHook`` switches it.
        measured: Means over the last measured batch, from which ``health`` is computed.
        health: Health figures (scalars) by name; see :func:`health_figures`.

    Args:
        data_preprocessor: Config; ``ClipDataPreprocessor`` with ImageNet's mean and std by default.
        init_cfg: As in MMEngine.
    """

    def __init__(
        self, data_preprocessor: dict | nn.Module | None = None, init_cfg: dict | None = None
    ) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor or dict(type='mmvidssl.ClipDataPreprocessor'),
            init_cfg=init_cfg,
        )
        self.measure_health = False
        self.measure({})

    def forward(self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """MMEngine's entry point.

        Args:
            inputs: As ``loss`` takes; for the other modes ``clip`` or ``global_clip``,
                ``(B, C, T, H, W)``, normalised.
            data_samples: One a clip, if the mode needs them.
            mode: ``'loss'``, ``'tensor'`` (features) or ``'predict'``.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode not in ('tensor', 'predict'):
            raise ValueError(f"mode must be 'loss', 'tensor' or 'predict', got {mode!r}")
        clip = inputs['clip'] if 'clip' in inputs else inputs['global_clip']
        return self.extract_feat(clip) if mode == 'tensor' else self.predict(clip)

    def measure(self, means: dict[str, Tensor]) -> None:
        """Store a batch's measures; ``HealthHook`` calls it with their means over a whole step."""
        self.measured: dict[str, Tensor] = means
        self._health: dict[str, Tensor] | None = None

    @property
    def health(self) -> dict[str, Tensor]:
        """Health figures of the last measurement, scalars by name; computed on access."""
        if self._health is None:
            self._health = health_figures(self.measured) if self.measured else {}
        return self._health

    def finish_step(self) -> None:
        """End an optimizer step: call ``finish_step()`` of each part that has one.

        ``TeacherMomentumHook`` calls it; the center moves then, and the tracker draws new heads.
        """
        for part in self.children():
            if hasattr(part, 'finish_step'):
                part.finish_step()


def check_widths(model: nn.Module, *pairs: tuple[str, str]) -> None:
    """Check that the widths of a model's parts fit each other, as far as the parts state them.

    Args:
        model: The model.
        pairs: Names (``'neck.in_channels'``) of two widths that must be equal.
    """

    def width(name: str) -> int | None:
        part, attribute = name.split('.')
        return getattr(getattr(model, part), attribute, None)

    for first, second in pairs:
        if None not in (width(first), width(second)) and width(first) != width(second):
            raise ValueError(
                f'{first}={width(first)}, but {second}={width(second)}; they must be equal, so set '
                f'model.{first} or model.{second} in the config'
            )


def check_class_tokens(backbone: nn.Module) -> None:
    """Check that the backbone's ``out_type``, if it has one, is ``'cls_token'``."""
    out_type = getattr(backbone, 'out_type', 'cls_token')
    if out_type != 'cls_token':
        raise ValueError(
            f"self-distillation learns from class tokens: set backbone.out_type='cls_token', not "
            f'{out_type!r}, which is for downstream use'
        )


def check_views(global_clips: list[Tensor], local_clips: list[Tensor]) -> None:
    """Check that all clips share B, C and T, and all global (and all local) clips H and W."""
    expected = global_clips[0].shape[:3]
    for kind, clips in (('global', global_clips), ('local', local_clips)):
        for index, clip in enumerate(clips):
            if clip.ndim != 5 or clip.shape[:3] != expected or clip.shape != clips[0].shape:
                raise ValueError(
                    f'{kind} clip {index} has shape {tuple(clip.shape)}; clips must be '
                    f'(B, C, T, H, W) with one B, C and T for all (here {tuple(expected)}) and '
                    f'one H and W for all {kind} clips.'
                )


def check_input_norm(target_generator: nn.Module, data_preprocessor: nn.Module) -> None:
    """Check that a target generator's ``input_norm`` is the data preprocessor's mean and std."""
    for name, values in (getattr(target_generator, 'input_norm', None) or {}).items():
        done = getattr(data_preprocessor, name, None)
        # On the meta device there are no numbers to compare.
        if not isinstance(done, Tensor) or done.is_meta:
            continue
        stated, done = torch.as_tensor(values).float().cpu(), done.float().cpu().flatten()
        if stated.shape != done.shape or not torch.allclose(stated, done):
            raise ValueError(
                f'target_generator.input_norm has {name}={stated.tolist()}, but '
                f'data_preprocessor.{name}={done.tolist()}; they must be equal'
            )
