"""Refusing predictions and targets that do not correspond."""

from torch import Tensor


def check_pair(name: str, pred: Tensor, target: Tensor, width: int | None = None) -> None:
    """Refuse other shapes than ``pred (M, Q)`` and ``target (M, width)``, ``M > 0``.

    Args:
        name: Of the loss, for the message.
        pred: Predictions.
        target: Targets.
        width: Of a target; that of a prediction by default.
    """
    wanted = (len(pred), pred.shape[-1] if width is None else width)
    if pred.ndim != 2 or tuple(target.shape) != wanted or not len(pred):
        kind = '(M, Q)' if width is None else f'(M, {width})'
        raise ValueError(
            f'{name} compares predictions (M, Q) with targets {kind} of at least one masked token, '
            f'got {tuple(pred.shape)} and {tuple(target.shape)}. Q is the out_channels of the neck.'
        )
