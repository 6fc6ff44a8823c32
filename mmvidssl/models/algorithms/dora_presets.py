"""What the DoRA paper says and what its released code does, as options of our parts."""

PRESETS: dict[str, dict[str, dict]] = {
    'paper': dict(
        backbone=dict(interpolate_offset=0.0),
        tracker=dict(threshold='map'),
        head=dict(skip_first_local=False, carry_over=False),
    ),
    'official': dict(
        backbone=dict(interpolate_offset=0.1),
        tracker=dict(threshold='batch'),
        head=dict(skip_first_local=True, carry_over=True),
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
        ValueError: if the preset is unknown, or a part states another value than the preset.
    """
    if preset is None:
        return parts
    if preset not in PRESETS:
        raise ValueError(f'preset must be one of {sorted(PRESETS)} or None, got {preset!r}')
    filled = dict(parts)
    for name, options in PRESETS[preset].items():
        for key, value in options.items():
            given = parts[name].get(key, value)
            if given != value:
                raise ValueError(
                    f'preset={preset!r} sets {name}.{key}={value!r}, but the config states '
                    f'{given!r}. Leave one of the two out (preset=None uses what is stated).'
                )
        filled[name] = {**parts[name], **options}
    return filled
