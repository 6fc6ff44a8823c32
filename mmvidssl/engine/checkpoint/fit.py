"""Does a checkpoint belong to a model?"""

from torch import Tensor, nn


def check_checkpoint_fits(
    state_dict: dict[str, Tensor], model: nn.Module, allow_missing: bool
) -> None:
    """Refuse weights of another architecture, which MMEngine would load with a mere warning.

    Args:
        state_dict: Of the checkpoint.
        model: The model that is to load it, not wrapped.
        allow_missing: Whether the checkpoint may lack some of the model's tensors (initial weights
            may, a checkpoint to resume from may not).

    Raises:
        ValueError: lists the first tensors that do not fit and says what to do.
    """
    expected = model.state_dict()
    given = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    shapes = [
        f'{key}: {tuple(given[key].shape)} in the checkpoint, {tuple(expected[key].shape)} in the '
        'model'
        for key in expected.keys() & given.keys()
        if given[key].shape != expected[key].shape
    ]
    missing = (
        []
        if allow_missing
        else [f'{key}: not in the checkpoint' for key in expected.keys() - given.keys()]
    )
    unexpected = [f'{key}: not in the model' for key in given.keys() - expected.keys()]
    if not expected.keys() & given.keys():
        missing = missing or ['no name in common']
    elif allow_missing:
        unexpected = []
    problems = sorted(shapes) + sorted(missing) + sorted(unexpected)
    if problems:
        shown = '\n  '.join(problems[:8])
        more = f'\n  and {len(problems) - 8} more' if len(problems) > 8 else ''
        raise ValueError(
            f'the checkpoint is of another architecture; {len(problems)} tensors do not fit:\n  '
            f'{shown}{more}\nUse the config that the checkpoint was trained with (it is stored in '
            "its meta['cfg']), or start anew without it."
        )
