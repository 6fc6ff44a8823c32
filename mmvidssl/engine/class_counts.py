"""Numbers of classes that the parts of a model were built for."""

from torch import nn


def class_counts(model: nn.Module) -> dict[str, int]:
    """``num_classes`` of every head, and of what mixes labels, by its place in the config."""
    counts = {}
    for name, module in model.named_modules():
        is_head = 'Head' in type(module).__name__ and not name.endswith('rpn_head')
        number = getattr(module, 'num_classes', None)
        if (is_head or name == 'data_preprocessor') and isinstance(number, int):
            # mmpretrain's, which stands at the top of a config.
            place = f'model.{name}' if is_head else name
            counts[f'{place}.num_classes'] = number
    preprocessor = getattr(model, 'data_preprocessor', None)
    blending = getattr(preprocessor, 'blending', None)
    for index, augment in enumerate(getattr(blending, 'augments', None) or ()):
        number = getattr(augment, 'num_classes', None)
        if isinstance(number, int):
            place = f'model.data_preprocessor.blending.augments.{index}'
            counts[f'{place}.num_classes'] = number
    return counts


def check_counts(heads: dict[str, int], expected: int, what: str) -> None:
    """Refuse numbers of classes that are others than the data's.

    Raises:
        ValueError: names each and its number.
    """
    wrong = {option: number for option, number in heads.items() if number != expected}
    if wrong:
        listed = ', '.join(f'{option}={number}' for option, number in heads.items())
        raise ValueError(
            f'{what}, but there is {listed}. Set {", ".join(wrong)} to {expected}, or correct '
            'metainfo.classes of the data sets.'
        )
