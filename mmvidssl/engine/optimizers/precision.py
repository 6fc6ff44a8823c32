"""From the config of a float32 optimizer wrapper to that of a mixed-precision one."""

SCOPE = 'mmvidssl.'  # found from the default scope of any library
# Type of the wrapper: its like with loss scaling, and its like for a CPU.
MIXED = {
    'OptimWrapper': ('AmpOptimWrapper', 'AutocastOptimWrapper'),
    'PerParamClipOptimWrapper': (
        'PerParamClipAmpOptimWrapper',
        'PerParamClipAutocastOptimWrapper',
    ),
}


def fit_to_device(optim_wrapper: dict, device: str, autocasts: bool = True) -> bool:
    """Replace mixed precision that needs a GPU by what works on a CPU, in place.

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
    if device != 'cpu' or stated not in full:
        return False
    use_mixed_precision(optim_wrapper, device)
    if not autocasts:
        optim_wrapper['type'] = full[stated]
    return True


def use_mixed_precision(optim_wrapper: dict, device: str) -> None:
    """Make a wrapper's config one of mixed precision that works on ``device``, in place.

    Args:
        optim_wrapper: Config, of whatever precision; ``type`` defaults to ``OptimWrapper``.
        device: ``'cpu'`` gives bfloat16 autocast, anything else MMEngine's mixed precision.

    Raises:
        ValueError: if the type has no such like.
    """
    stated = optim_wrapper.get('type', 'OptimWrapper').removeprefix(SCOPE)
    for full, (scaled, autocast) in MIXED.items():
        if stated in (full, scaled, autocast):
            optim_wrapper['type'] = SCOPE + autocast if device == 'cpu' else scaled
            if device == 'cpu':
                optim_wrapper.pop('loss_scale', None)
                optim_wrapper.pop('dtype', None)
            return
    raise ValueError(
        f'mixed precision would replace the optim_wrapper of the config, a {stated}; that is known '
        f'for {", ".join(MIXED)} and their likes only'
    )
