"""From the config of a float32 optimizer wrapper to that of a mixed-precision one."""

# Type of the wrapper: its like with loss scaling, and its like for a CPU.
MIXED = {
    'OptimWrapper': ('AmpOptimWrapper', 'AutocastOptimWrapper'),
    'PerParamClipOptimWrapper': (
        'PerParamClipAmpOptimWrapper',
        'PerParamClipAutocastOptimWrapper',
    ),
}


def use_mixed_precision(optim_wrapper: dict, device: str) -> None:
    """Make a wrapper's config one of mixed precision that works on ``device``, in place.

    Args:
        optim_wrapper: Config, of whatever precision; ``type`` defaults to ``OptimWrapper``.
        device: ``'cpu'`` gives bfloat16 autocast, anything else MMEngine's mixed precision.

    Raises:
        ValueError: if the type has no such like.
    """
    stated = optim_wrapper.get('type', 'OptimWrapper')
    for full, (scaled, autocast) in MIXED.items():
        if stated in (full, scaled, autocast):
            optim_wrapper['type'] = autocast if device == 'cpu' else scaled
            if device == 'cpu':
                optim_wrapper.pop('loss_scale', None)
            return
    raise ValueError(
        f'mixed precision would replace the optim_wrapper of the config, a {stated}; that is known '
        f'for {", ".join(MIXED)} and their likes only'
    )
