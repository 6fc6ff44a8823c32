"""Mixed precision: an optimizer wrapper for CPUs, and the choice of a wrapper in configs."""

from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmvidssl.registry import OPTIM_WRAPPERS

SCOPE = 'mmvidssl.'  # found from the default scope of any library
# Type of a wrapper in float32: its counterpart with loss scaling, and that for a CPU.
MIXED = {
    'OptimWrapper': ('AmpOptimWrapper', 'AutocastOptimWrapper'),
    'PerParamClipOptimWrapper': (
        'PerParamClipAmpOptimWrapper',
        'PerParamClipAutocastOptimWrapper',
    ),
}


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """MMEngine's ``OptimWrapper`` with bfloat16 autocast, on a CPU too.

    bfloat16 has float32's range and needs no loss scaling. MMEngine's ``AmpOptimWrapper`` refuses
    to work without an accelerator; with one, use that.

    Args:
        **kwargs: As in MMEngine's ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Enter autocast for the forward pass."""
        device_type = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device_type, torch.bfloat16):
            yield


def fit_to_device(optim_wrapper: dict, device: str, autocasts: bool = True) -> bool:
    """Replace mixed precision that needs a GPU by what works on a CPU, in place.

    A wrapper in float32 loses options of mixed precision that the config still has, so that
    ``optim_wrapper.type=OptimWrapper`` (or ``PerParamClipOptimWrapper``) alone turns it off.

    Args:
        optim_wrapper: Config of the wrapper.
        device: Where the model will be.
        autocasts: Whether the model can be autocast to bfloat16 on a CPU; else it gets float32.
            Detectors cannot: mmcv's operators lack bfloat16 there.

    Returns:
        Whether the config was changed.
    """
    full = {scaled: name for name, (scaled, _) in MIXED.items()}
    stated = optim_wrapper.get('type', 'OptimWrapper').removeprefix(SCOPE)
    if stated in MIXED:
        _drop_mixed_options(optim_wrapper)
    if device != 'cpu' or stated not in full:
        return False
    use_mixed_precision(optim_wrapper, device)
    if not autocasts:
        optim_wrapper['type'] = full[stated]
    return True


def use_mixed_precision(optim_wrapper: dict, device: str) -> None:
    """Switch a wrapper's config to mixed precision that works on ``device``, in place.

    Args:
        optim_wrapper: Config, of whatever precision; ``type`` defaults to ``OptimWrapper``.
        device: ``'cpu'`` gives bfloat16 autocast, anything else MMEngine's mixed precision.

    Raises:
        ValueError: if the type has no counterpart in mixed precision.
    """
    stated = optim_wrapper.get('type', 'OptimWrapper').removeprefix(SCOPE)
    for full, (scaled, autocast) in MIXED.items():
        if stated in (full, scaled, autocast):
            optim_wrapper['type'] = SCOPE + autocast if device == 'cpu' else scaled
            if device == 'cpu':
                _drop_mixed_options(optim_wrapper)
            return
    raise ValueError(f'optim_wrapper: mixed precision needs one of {[*MIXED]}, got {stated}')


def _drop_mixed_options(optim_wrapper: dict) -> None:
    for key in ('loss_scale', 'dtype'):
        optim_wrapper.pop(key, None)
