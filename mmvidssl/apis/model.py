"""Models, and backbones alone, built from a config and loaded from a checkpoint."""

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
    Source,
    check_loaded,
    examine,
    examine_all,
    examine_start,
    read_plain,
    read_weights,
    report,
)
from mmvidssl.engine.utils import unwrap_model
from mmvidssl.registry import MODELS
from mmvidssl.utils.roles import check_role, is_bare, select_weights


def init_model(
    config: str | os.PathLike | Config,
    checkpoint: str | os.PathLike | None = None,
    device: str | torch.device = 'cpu',
    role: str | None = None,
) -> nn.Module:
    """Build the model of a config, load its weights, and put it into evaluation mode.

    The log says what was loaded, interpolated, missing and unexpected. For a config of test-time
    augmentation (``*-ms``), this is the model inside its wrapper.

    Args:
        config: A config file, or the config.
        checkpoint: A training checkpoint, or a published backbone, which then serves as student
            and as teacher. None initialises as the config says: at random, or a downstream model
            from the checkpoint it names.
        device: Device of the model.
        role: The backbone, ``'teacher'`` or ``'student'``, that a downstream model takes from a
            checkpoint with both. None: the teacher's, with which DINO and DoRA are evaluated. A
            model with both takes both. A published teacher is refused for ``'student'``.

    Raises:
        FileNotFoundError: If the config or the checkpoint does not exist.
        ValueError: If the checkpoint is no plain data with our names, lacks weights of the
            backbone, or is of another architecture; names the weights. Tensors in ``allow_new`` of
            the config's ``PretrainedReportHook`` may be missing.
    """
    if not isinstance(config, Config):
        if not Path(config).is_file():
            raise FileNotFoundError(f'no such config: {config}')
        config = Config.fromfile(config)
    init_default_scope(config.get('default_scope', 'mmvidssl'))
    # mmpretrain's configs have it beside the model; the runner puts it in, too.
    beside = config.get('data_preprocessor')
    cfg = config.model if beside is None else {'data_preprocessor': beside, **config.model}
    model = unwrap_model(MODELS.build(cfg))
    if checkpoint is None:
        _initialize(model, _allowed_new(config))
    else:
        content = read_plain(str(checkpoint))
        check_role(content['meta'], checkpoint, role)
        start = examine_start(
            model, content['state_dict'], str(checkpoint), role, _allowed_new(config)
        )
        start.filter_checkpoint_(content)
        model.load_state_dict(content['state_dict'], strict=False)
        check_loaded(start.source, start.coverage)
        MMLogger.get_current_instance().info(start.report())
    return model.to(device).eval()


def init_backbone(
    backbone: dict, checkpoint: str | os.PathLike | None = None, role: str = 'teacher'
) -> nn.Module:
    """Build a backbone alone, load its weights, and put it into evaluation mode.

    Positions of another image size (or clip length) are interpolated as the backbone's class does.
    The log says what was loaded and what is unexpected, such as a last norm that the backbone's
    options leave out.

    Args:
        backbone: Its config, ``dict(type='mmvidssl.DINOViT', ...)``.
        checkpoint: A training checkpoint, or a published backbone. None leaves the random
            initialisation.
        role: ``'teacher'`` or ``'student'``; a file with one backbone gives that one.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the checkpoint has no such backbone, lacks weights of it, or is of another
            architecture, even if only deeper; names the file and the weights.
    """
    model = MODELS.build(backbone)
    if checkpoint is None:
        _initialize(model)
    else:
        content = read_plain(str(checkpoint))
        weights = content['state_dict']
        if not is_bare(weights):
            weights, _ = select_weights(content, checkpoint, role)
        source = Source('', model, str(checkpoint))
        coverage = examine(source, weights)
        model.load_state_dict(weights, strict=False)
        check_loaded(source, coverage)
        MMLogger.get_current_instance().info(report(source, coverage))
    model.eval()  # not chained: mmpretrain's return None
    return model


def load_weights(checkpoint: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Read the ``state_dict`` of a checkpoint without running any code it may hold.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint, or holds more than plain data; names the file.
    """
    return read_weights(str(checkpoint))


def _initialize(model: nn.Module, allow_new: Sequence[str] = ()) -> None:
    """Initialise a model as its config says; refuses weights that load only in part."""
    expected = examine_all(model, allow_new)
    with _only_warnings():
        model.init_weights()
    for source, coverage in expected:
        check_loaded(source, coverage)
        MMLogger.get_current_instance().info(report(source, coverage))


def _allowed_new(config: Config) -> list[str]:
    """``allow_new`` of the config's ``PretrainedReportHook``: tensors that may be missing."""
    hooks = config.get('custom_hooks') or []
    reports = [hook for hook in hooks if 'PretrainedReportHook' in str(hook.get('type'))]
    return [pattern for hook in reports for pattern in hook.get('allow_new', ())]


@contextmanager
def _only_warnings() -> Iterator[None]:
    """Keep MMEngine from printing two lines about each parameter it initialises."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
