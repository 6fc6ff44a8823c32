"""From a config and a checkpoint to a model that is ready to use."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import nn

from mmvidssl.engine.checkpoint import (
    check_arrival,
    examine_all,
    examine_start,
    read_plain,
    read_weights,
)
from mmvidssl.engine.checkpoint.coverage_text import report
from mmvidssl.engine.unwrap import unwrap_model
from mmvidssl.registry import MODELS
from mmvidssl.utils.roles import check_role


def init_model(
    config: str | os.PathLike | Config,
    checkpoint: str | os.PathLike | None = None,
    device: str | torch.device = 'cpu',
    role: str | None = None,
) -> nn.Module:
    """Build the model of a config, load its weights, and put it into evaluation mode.

    The log says what was loaded, interpolated, new and left over. Of a model that tests by many
    views (``*-ms`` configs) this is the model inside.

    Args:
        config: A config file, or the config.
        checkpoint: A training checkpoint, or a published backbone, which then serves as student
            and as teacher. None initialises as the config says: at random, or a downstream model
            from the checkpoint it names.
        device: Where the model shall live.
        role: Whose backbone a model that has but one (a downstream model) takes from a checkpoint
            that holds both, ``'teacher'`` or ``'student'``. None: the teacher's, which DINO and
            DoRA are evaluated with. A model with both takes both. The student's is not taken from
            a published teacher.

    Raises:
        FileNotFoundError: If the config or the checkpoint does not exist.
        ValueError: If the checkpoint is no plain data with our names (says what converts it), lacks
            weights of the backbone, or is of another architecture; names the weights. Tensors that
            the config's ``PretrainedReportHook`` allows to be new may be.
    """
    if not isinstance(config, Config):
        if not Path(config).is_file():
            raise FileNotFoundError(f'no such config: {config}')
        config = Config.fromfile(config)
    init_default_scope(config.get('default_scope', 'mmvidssl'))
    model = unwrap_model(MODELS.build(_model_cfg(config)))
    if checkpoint is None:
        _initialize(model, _allowed_new(config))
    else:
        content = read_plain(str(checkpoint))
        check_role(content['meta'], checkpoint, role)
        start = examine_start(
            model, content['state_dict'], str(checkpoint), role, _allowed_new(config)
        )
        start.arrange_(content)
        model.load_state_dict(content['state_dict'], strict=False)
        check_arrival(start.source, start.coverage)
        MMLogger.get_current_instance().info(start.report())
    return model.to(device).eval()


def _initialize(model: nn.Module, allow_new: Sequence[str]) -> None:
    """As the config says; what it loads, it loads whole."""
    expected = examine_all(model, allow_new)
    with only_warnings():
        model.init_weights()
    for source, coverage in expected:
        check_arrival(source, coverage)
        MMLogger.get_current_instance().info(report(source, coverage))


def _allowed_new(config: Config) -> list[str]:
    """What the config's ``PretrainedReportHook`` lets be new."""
    hooks = config.get('custom_hooks') or []
    reports = [hook for hook in hooks if 'PretrainedReportHook' in str(hook.get('type'))]
    return [pattern for hook in reports for pattern in hook.get('allow_new', ())]


def _model_cfg(config: Config) -> dict:
    """With the preprocessor that stands beside the model in mmpretrain's configs, as the runner."""
    beside = config.get('data_preprocessor')
    return config.model if beside is None else {'data_preprocessor': beside, **config.model}


@contextmanager
def only_warnings() -> Iterator[None]:
    """Keep MMEngine from printing two lines about each parameter it initialises."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def load_weights(checkpoint: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Read the ``state_dict`` of a checkpoint without running any code it may hold.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint, or holds more than plain data; names the file.
    """
    return read_weights(str(checkpoint))
