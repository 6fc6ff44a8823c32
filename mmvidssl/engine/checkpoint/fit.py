"""Does a checkpoint belong to a model?"""

from collections.abc import Mapping
from math import isqrt

from torch import Tensor, nn


def check_checkpoint_fits(state_dict: Mapping[str, Tensor], model: nn.Module) -> None:
    """Refuse to resume from weights of another model, which MMEngine would do with a mere warning.

    Another ``img_size`` (or clip length) is refused as well, though a module may interpolate its
    positions while it loads: mmpretrain's ViT ``pos_embed``, if both grids are square, and a module
    whose ``interpolated_on_load`` names some of its parameters these, along their first axis. What
    a run may start from, :func:`examine_start` tells.

    Args:
        state_dict: Of the checkpoint.
        model: The model that is to load it, not wrapped.

    Raises:
        ValueError: lists the first tensors that do not fit and says what to do.
    """
    expected = model.state_dict()
    given = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    common = expected.keys() & given.keys()
    differing = {key for key in common if given[key].shape != expected[key].shape}
    resized = {key for key in differing if _is_resized(key, given[key], expected[key], model)}
    shapes = [
        f'{key}: {tuple(given[key].shape)} in the checkpoint, {tuple(expected[key].shape)} in the '
        'model' + (' (another img_size)' if key in resized else '')
        for key in differing
    ]
    missing = [f'{key}: not in the checkpoint' for key in expected.keys() - given.keys()]
    unexpected = [f'{key}: not in the model' for key in given.keys() - expected.keys()]
    problems = sorted(shapes) + sorted(missing) + sorted(unexpected)
    if problems:
        _refuse(problems, only_img_size=len(problems) == len(resized) == len(shapes))


def _is_resized(key: str, given: Tensor, expected: Tensor, model: nn.Module) -> bool:
    """Whether these are positions of another grid, which their module will interpolate."""
    name, _, attribute = key.rpartition('.')
    parts = name.split('.')
    owners = [model.get_submodule('.'.join(parts[:depth])) for depth in range(len(parts) + 1)]
    if any(attribute in getattr(owner, 'interpolated_on_load', ()) for owner in owners):
        return given.shape[1:] == expected.shape[1:]
    module = owners[-1]
    if attribute != 'pos_embed' or not hasattr(module, 'resize_pos_embed') or given.ndim != 3:
        return False
    num_patches = given.shape[1] - module.num_extra_tokens
    is_square = num_patches > 0 and isqrt(num_patches) ** 2 == num_patches
    return is_square and (given.shape[0], given.shape[2]) == (expected.shape[0], expected.shape[2])


def _refuse(problems: list[str], only_img_size: bool) -> None:
    shown = '\n  '.join(problems[:8])
    more = f'\n  and {len(problems) - 8} more' if len(problems) > 8 else ''
    what = "backbone's img_size" if only_img_size else 'architecture'
    advice = (
        'Set img_size as in the config that the checkpoint was trained with, or start from its '
        'weights alone (load_from without resume), whose positions are interpolated.'
        if only_img_size
        else 'Use the config that the checkpoint was trained with (it is stored in its '
        "meta['cfg']), or start anew without it."
    )
    raise ValueError(
        f'the checkpoint is of another {what}; {len(problems)} tensors do not fit:\n  '
        f'{shown}{more}\n{advice}'
    )
