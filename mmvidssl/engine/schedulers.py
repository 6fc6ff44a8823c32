"""Learning rate schedule that adapts to the length of the run."""

import math

from mmengine.optim import _ParamScheduler

from mmvidssl.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_ParamScheduler):
    """Linear warm-up, then cosine decay, together as long as the run.

    MMEngine's runner fills in ``end``, the length of the run, where a config leaves it out, so that
    ``train_cfg`` alone decides. Over ``n`` steps of which ``w = min(warmup, max_share * n)`` warm
    up, the rate of step ``i`` is, relative to the optimizer's:

    - ``start_ratio + (1 - start_ratio) * i / (w - 1)`` for ``i < w``;
    - ``low + (1 - low) * (1 + cos(pi * (i - w) / (n - w))) / 2`` after that.

    Equal to MMEngine's ``LinearLR`` and ``CosineAnnealingLR`` in turn.

    Args:
        optimizer: The optimizer or its wrapper.
        warmup: Longest warm-up, in epochs or, with ``by_epoch=False``, iterations.
        max_share: Longest warm-up as a share of the run.
        start_ratio: Rate of the first step, relative to the peak.
        eta_min: Rate that the cosine ends at; the peak if that is lower.
        eta_min_ratio: The same relative to the peak, in place of ``eta_min``.
        **kwargs: As in MMEngine's schedulers: ``begin``, ``end``, ``by_epoch``, ...

    Raises:
        ValueError: for an argument out of its range.
    """

    def __init__(
        self,
        optimizer,
        warmup: int = 0,
        max_share: float = 0.1,
        start_ratio: float = 0.0,
        eta_min: float | None = None,
        eta_min_ratio: float | None = None,
        **kwargs,
    ) -> None:
        if warmup < 0 or not 0 <= max_share < 1 or not 0 <= start_ratio <= 1:
            raise ValueError(
                'WarmupCosineLR needs warmup >= 0, max_share in [0, 1) and start_ratio in [0, 1], '
                f'got warmup={warmup}, max_share={max_share} and start_ratio={start_ratio}'
            )
        if eta_min is not None and eta_min_ratio is not None:
            raise ValueError(
                'WarmupCosineLR takes one of eta_min and eta_min_ratio, got '
                f'eta_min={eta_min} and eta_min_ratio={eta_min_ratio}'
            )
        self.warmup, self.max_share, self.start_ratio = warmup, max_share, start_ratio
        self.eta_min, self.eta_min_ratio = eta_min, eta_min_ratio
        super().__init__(optimizer, 'lr', **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls, optimizer, end: int, epoch_length: int, begin: int = 0, warmup: int = 0, **kwargs
    ) -> 'WarmupCosineLR':
        """Scheduler in iterations for a config in epochs (``convert_to_iter_based=True``)."""
        kwargs.update(begin=begin * epoch_length, end=end * epoch_length, by_epoch=False)
        return cls(optimizer, warmup * epoch_length, **kwargs)

    @property
    def num_warmup(self) -> int:
        """Length of the warm-up in steps of the schedule."""
        return min(self.warmup, round(self.max_share * (self.end - self.begin)))

    def _get_value(self) -> list[float]:
        """Rate of each parameter group at this step."""
        step, num_warmup = self.last_step, self.num_warmup
        if step < num_warmup:
            share = step / max(num_warmup - 1, 1)
            factor = self.start_ratio + (1 - self.start_ratio) * share
            return [peak * factor for peak in self.base_values]
        length = self.end - self.begin - num_warmup
        share = (1 + math.cos(math.pi * (step - num_warmup) / length)) / 2
        return [self._low(peak) + (peak - self._low(peak)) * share for peak in self.base_values]

    def _low(self, peak: float) -> float:
        if self.eta_min_ratio is not None:
            return peak * self.eta_min_ratio
        return min(self.eta_min or 0.0, peak)
