"""Entries of MMEngine's ``init_cfg``, which is a dict or a list of them."""

from collections.abc import Sequence

from mmengine.model import BaseModule, PretrainedInit, initialize

InitCfg = dict | Sequence[dict] | None


def listed(init_cfg: InitCfg) -> list[dict]:
    """Its entries."""
    return [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg or ())


def names_checkpoint(init_cfg: InitCfg) -> bool:
    """Whether an entry loads a checkpoint."""
    return any(map(is_pretrained, listed(init_cfg)))


def is_pretrained(entry: dict) -> bool:
    """Whether it is this entry that does."""
    return entry.get('type') in ('Pretrained', PretrainedInit)


def load_listed(module: BaseModule) -> None:
    """Load once more what a list-valued ``init_cfg`` of a module loads from a checkpoint.

    For the end of ``init_weights``: mmpretrain and mmaction2 look for a checkpoint where the
    ``init_cfg`` is a dict, and over one in a list they initialise positions anew.
    """
    if module.init_cfg is not None and not isinstance(module.init_cfg, dict):
        initialize(module, list(filter(is_pretrained, module.init_cfg)))
