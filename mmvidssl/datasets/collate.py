"""From samples to a batch."""

from collections.abc import Sequence

from mmengine.dataset import pseudo_collate

from mmvidssl.registry import FUNCTIONS


@FUNCTIONS.register_module()
def flat_collate(data_batch: Sequence, _scope_: str | None = None) -> dict:
    """MMEngine's ``pseudo_collate`` for data sets whose items are samples or lists of samples.

    Lists, which :class:`RepeatAugment` and mmaction2's ``RepeatAugDataset`` give, are strung
    together. ``_scope_`` changes nothing: mmengine 0.10 passes it where the config's base is one
    of another package (``_base_ = 'mmvidssl::...'``).
    """
    samples: list[dict] = []
    for item in data_batch:
        samples.extend(item if isinstance(item, list) else [item])
    return pseudo_collate(samples)
