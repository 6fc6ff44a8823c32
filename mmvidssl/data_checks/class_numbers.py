"""Numbers of classes that the parts of a model were built for."""

from torch import nn


def class_numbers(model: nn.Module) -> dict[str, int]:
    """``num_classes`` of every head, and of what mixes labels, by its place in the config."""
    numbers = {}
    for name, module in model.named_modules():
        is_head = 'Head' in type(module).__name__ and not name.endswith('rpn_head')
        if is_head or name == 'data_preprocessor':
            # mmpretrain's preprocessor stands at the top of a config.
            numbers[f'model.{name}' if is_head else name] = getattr(module, 'num_classes', None)
    blending = getattr(getattr(model, 'data_preprocessor', None), 'blending', None)
    for index, augment in enumerate(getattr(blending, 'augments', None) or ()):
        place = f'model.data_preprocessor.blending.augments.{index}'
        numbers[place] = getattr(augment, 'num_classes', None)
    return {f'{k}.num_classes': number for k, number in numbers.items() if isinstance(number, int)}


def check_class_numbers(what: str, numbers: dict[str, int], expected: int) -> None:
    """Refuse numbers of classes that are others than the data's, or than one another.

    mmpretrain's and mmdetection's hooks for this do not know mmaction2's and mmsegmentation's
    models, nor the options that set the numbers.

    Args:
        what: The data set and its number of classes, for the message.
        numbers: By the option that sets each.
        expected: Number of classes.

    Raises:
        ValueError: names each option and its number.
    """
    if any(number != expected for number in numbers.values()):
        listed = ', '.join(f'{option}={number}' for option, number in numbers.items())
        raise ValueError(f'{what}, but there is {listed}. Correct these, or metainfo.classes.')
