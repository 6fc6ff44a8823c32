"""Base of the algorithms: health, MMEngine's entry point, checks of parts."""

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from ..utils import health_figures


class BaseAlgorithm(BaseModel):
    """MMEngine's ``BaseModel``, which can be measured while it trains.

    A subclass has ``loss(inputs, data_samples)``, ``extract_feat(clip)`` and ``predict(clip)``.

    Attributes:
        measure_health: Whether ``loss`` measures its batch; ``HealthHook`` switches it.
        measured: Means over the last batch that was measured, from which ``health`` follows.
        health: Scalars by name.

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
        """Note what a batch measures; ``HealthHook`` calls it with the means of a whole step."""
        self.measured: dict[str, Tensor] = means
        self._health: dict[str, Tensor] | None = None

    @property
    def health(self) -> dict[str, Tensor]:
        """Scalars by name of what was measured; computed when asked for."""
        if self._health is None:
            self._health = health_figures(self.measured) if self.measured else {}
        return self._health

    def finish_step(self) -> None:
        """Let parts act on what the passes of an optimizer step have gathered, once it is due.

        ``TeacherMomentumHook`` calls it; parts that gather have a method of the same name.
        """
        for part in self.children():
            if hasattr(part, 'finish_step'):
                part.finish_step()


def check_widths(model: nn.Module, *pairs: tuple[str, str]) -> None:
    """Refuse parts of a model that do not fit each other, where they tell their widths.

    Args:
        model: With its parts.
        pairs: Names of two widths that must be equal, ``'neck.in_channels'``.
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
    """Refuse a backbone that says it puts out something else than class tokens."""
    out_type = getattr(backbone, 'out_type', 'cls_token')
    if out_type != 'cls_token':
        raise ValueError(
            f"self-distillation learns from class tokens: set backbone.out_type='cls_token', not "
            f'{out_type!r}, which is for downstream use'
        )


def check_views(global_clips: list[Tensor], local_clips: list[Tensor]) -> None:
    """Refuse clips that are not of one batch, or of different sizes among their kind."""
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
    """Refuse a target generator that undoes another normalisation than the data preprocessor's."""
    for name, values in (getattr(target_generator, 'input_norm', None) or {}).items():
        done = getattr(data_preprocessor, name, None)
        # On the meta device there are no numbers to compare.
        if not isinstance(done, Tensor) or done.is_meta:
            continue
        stated, done = torch.as_tensor(values).float().cpu(), done.float().cpu().flatten()
        if stated.shape != done.shape or not torch.allclose(stated, done):
            raise ValueError(
                f'target_generator.input_norm says {name}={stated.tolist()}, but '
                f'data_preprocessor.{name}={done.tolist()}; they must be equal'
            )
