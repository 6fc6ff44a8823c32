"""From samples to a batch."""

from collections.abc import Sequence

from mmengine.dataset import pseudo_collate

from mmvidssl.registry import FUNCTIONS


@FUNCTIONS.register_module()
def flat_collate(data_batch: Sequence) -> dict:
    """MMEngine's ``pseudo_collate`` for data sets whose items are samples or lists of samples.

    Lists, which :class:`RepeatAugment` gives, are strung together.
    """
    samples: list[dict] = []
    for item in data_batch:
        samples.extend(item if isinstance(item, list) else [item])
    return pseudo_collate(samples)
