"""Entries of MMEngine's ``init_cfg``, which is a dict or a list of them."""

from collections.abc import Sequence

from mmengine.model import BaseModule, PretrainedInit, initialize

InitCfg = dict | Sequence[dict] | None


def listed(init_cfg: InitCfg) -> list[dict]:
    """Entries of an ``init_cfg`` as a list."""
    return [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg or ())


def names_checkpoint(init_cfg: InitCfg) -> bool:
    """Whether one of its entries loads a checkpoint."""
    return any(map(is_pretrained, listed(init_cfg)))


def is_pretrained(entry: dict) -> bool:
    """Whether an entry loads a checkpoint."""
    return entry.get('type') in ('Pretrained', PretrainedInit)


def load_listed(module: BaseModule) -> None:
    """Load the checkpoints of a module's list-valued ``init_cfg`` again, after ``init_weights``.

    mmpretrain and mmaction2 notice a checkpoint only where the ``init_cfg`` is a dict; with a list,
    they overwrite the loaded positions with random ones.
    """
    if module.init_cfg is not None and not isinstance(module.init_cfg, dict):
        initialize(module, list(filter(is_pretrained, module.init_cfg)))
