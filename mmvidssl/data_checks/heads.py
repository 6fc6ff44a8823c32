"""Heads of a model against the number of classes."""

from collections.abc import Iterator

from .findings import Finding, error
from .subject import Subject, class_numbers, heads_of


def check_heads(subject: Subject) -> Iterator[Finding]:
    """Other numbers of classes than the data's, or than one another's; one class under softmax.

    mmpretrain's and mmdetection's hooks for numbers do not know mmaction2's and mmsegmentation's
    models, nor the options that set them. The softmax of one number is 1, and its loss 0.
    """
    numbers, expected = class_numbers(subject.model), len(subject.classes)
    is_own = subject.own_classes is not None
    if is_own:
        subject.seen.append(f'{expected} classes')
    if expected and any(number != expected for number in numbers.values()):
        what = f'it has {expected} classes' if is_own else 'the heads disagree'
        listed = ', '.join(f'{option}={number}' for option, number in numbers.items())
        yield error(f'{what}, but there is {listed}. Correct these, or metainfo.classes.')
    if not expected or 'instances' in subject.first:  # detectors have a background besides
        return
    for name, head in heads_of(subject.model):
        losses = [part for key, part in head.named_children() if key.startswith('loss')]
        is_sigmoid = any(getattr(p, 'use_sigmoid', 'BCE' in type(p).__name__) for p in losses)
        if losses and not is_sigmoid and getattr(head, 'out_channels', head.num_classes) == 1:
            yield error(
                f'model.{name} has one output, whose softmax is always 1 and whose loss is always '
                '0. Make what is not the class a class of its own (background).'
            )
