"""What an algorithm shows to those who watch over its training."""

from collections.abc import Callable

from mmengine.model import BaseModel
from torch import Tensor, nn


class BaseAlgorithm(BaseModel):
    """MMEngine's ``BaseModel``, which can be measured and guarded while it trains.

    Attributes:
        measure_health: Whether ``loss`` fills ``health``; ``HealthHook`` switches it.
        health: Scalars by name, of the last batch that was measured.
        check_losses: Called with all losses, by name, before anything is differentiated; raises if
            they are bad. ``NaNGuardHook`` sets it.

    Args:
        data_preprocessor: As in MMEngine.
        init_cfg: As in MMEngine.
    """

    def __init__(
        self, data_preprocessor: dict | nn.Module | None = None, init_cfg: dict | None = None
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.measure_health = False
        self.health: dict[str, Tensor] = {}
        self.check_losses: Callable[[dict[str, Tensor]], None] | None = None

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss, and all losses by name, as in MMEngine; checked if someone asked for it."""
        total, named = super().parse_losses(losses)
        if self.check_losses is not None:
            self.check_losses(named)
        return total, named
