"""Detection: names of classes against the categories of a COCO annotation file."""

import json
from collections.abc import Sequence

NUM_SHOWN = 20


def check_coco_classes(
    place: str, ann_file: str, classes: Sequence[str], cat_ids: Sequence[int] | None = None
) -> None:
    """Refuse names of classes that an annotation file has no category for, or in another order.

    mmdetection drops classes without a category; if it drops all of them it has no image left, and
    fails at putting together nothing. It numbers labels by the order of the categories, whatever
    that of the names: in another, each class is reported under another's name.

    Args:
        place: Of the data set, for the message.
        ann_file: A COCO annotation file.
        classes: Names.
        cat_ids: Categories by label, of a data set that is built. Default: those with a name in
            ``classes``, in the order of the file.

    Raises:
        ValueError: names the classes, and the categories there are; or the right order.
    """
    with open(ann_file, encoding='utf-8') as file:
        names = {category['id']: category['name'] for category in json.load(file)['categories']}
    absent = [name for name in classes if name not in names.values()]
    if absent:
        raise ValueError(
            f'{place}: metainfo.classes has {absent[:NUM_SHOWN]}, which are no categories of '
            f'{ann_file}; those are {list(names.values())[:NUM_SHOWN]}'
        )
    if cat_ids is None:
        cat_ids = [number for number, name in names.items() if name in classes]
    ordered = [names[number] for number in cat_ids]
    if ordered != list(classes):
        raise ValueError(
            f'{place}: metainfo.classes is {_shown(classes)}, but mmdetection numbers labels by '
            f'the order of the categories in {ann_file}, which is {_shown(ordered)}. Write the '
            'classes in this order, and the categories of every annotation file.'
        )


def _shown(names: Sequence[str]) -> str:
    return ','.join(names[:100]) + (',...' if len(names) > 100 else '')
