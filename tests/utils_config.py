"""What two configs have not in common."""

from typing import Any


def changes(one: Any, other: Any, key: str = '') -> dict[str, Any]:
    """The values of the other of two configs that are not those of the one, by dotted key."""
    if hasattr(one, 'keys') and hasattr(other, 'keys'):
        keys = one.keys() | other.keys()
        pairs = [(k, one.get(k), other.get(k)) for k in keys]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(k, *values) for k, values in enumerate(zip(one, other, strict=True))]
    else:
        return {} if one == other else {key.removeprefix('.'): other}
    return {k: v for part, *two in pairs for k, v in changes(*two, f'{key}.{part}').items()}
