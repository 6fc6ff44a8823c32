"""Presets of DoRA: options as in the paper, and as in its released code."""

# Only options that the source fixes. The axes of the paper's ablation (number of objects,
# Sinkhorn on or off, masking, frames) stay free under either preset.
PRESETS: dict[str, dict[str, dict]] = {
    'paper': dict(
        backbone=dict(interpolate_offset=0.0),
        tracker=dict(threshold='map'),
        head=dict(skip_first_local=False, carry_over=False),
    ),
    'official': dict(
        backbone=dict(interpolate_offset=0.1),
        tracker=dict(
            threshold='batch',
            draw_heads='pass',
            block=-1,
            epsilon=0.05,
            num_iters=30,
            normalize_features=True,
            mask_type='hard',
        ),
        head=dict(skip_first_local=True, carry_over=True, object_weight=0.5, local_weight=0.5),
    ),
}


def apply_preset(preset: str | None, parts: dict[str, dict]) -> dict[str, dict]:
    """Fill a preset's options into the configs of the parts.

    Args:
        preset: ``'paper'``, ``'official'`` or None (nothing is filled in).
        parts: Config of each part by name; not changed.

    Returns:
        New configs.

    Raises:
        ValueError: if the preset is unknown, or parts state other values than the preset; lists
            all of them.
    """
    if preset is None:
        return parts
    if preset not in PRESETS:
        raise ValueError(f'preset must be one of {sorted(PRESETS)} or None, got {preset!r}')
    options = PRESETS[preset]
    contradictions = [
        f'{name}.{key}={value!r}, but the config states {parts[name][key]!r}'
        for name, values in options.items()
        for key, value in values.items()
        if parts[name].get(key, value) != value
    ]
    if contradictions:
        raise ValueError(
            f'preset={preset!r} sets {"; ".join(contradictions)}. Leave one of the two out '
            '(preset=None uses what is stated).'
        )
    return {name: {**part, **options.get(name, {})} for name, part in parts.items()}
