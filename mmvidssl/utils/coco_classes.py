"""Names of classes, and the categories of a COCO annotation file."""

import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from .data_files import leaves


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
            f'{place}: metainfo.classes has {absent[:8]}, which are no categories of {ann_file}; '
            f'its {len(names)} categories are {list(names.values())[:20]}. Set '
            'metainfo=dict(classes=...) to names of categories, and num_classes of the heads to '
            'how many they are.'
        )
    if cat_ids is None:
        cat_ids = [number for number, name in names.items() if name in classes]
    ordered = [names[number] for number in cat_ids]
    if ordered != list(classes):
        raise ValueError(
            f'{place}: metainfo.classes is {_shown(classes)}, but mmdetection numbers labels by '
            f'the order of the categories in {ann_file}, which is {_shown(ordered)}. Write the '
            'classes in this order, of the categories of every annotation file.'
        )


def _shown(names: Sequence[str]) -> str:
    return ','.join(names[:100]) + (',...' if len(names) > 100 else '')


def check_detection_data(cfg: Config) -> None:
    """Check the names of classes of every COCO data set of a config that names its own.

    Raises:
        ValueError: as :func:`check_coco_classes`.
    """
    for part in ('train', 'val', 'test'):
        loader = cfg.get(f'{part}_dataloader') or {}
        for place, dataset in leaves(loader.get('dataset'), f'{part}_dataloader.dataset'):
            classes = (dataset.get('metainfo') or {}).get('classes')
            ann_file = str(dataset.get('ann_file') or '')
            if isinstance(classes, str) or not classes or not ann_file.endswith('.json'):
                continue
            path = Path(dataset.get('data_root') or '', ann_file)
            # Those of Objects365V1 are sorted; what labels they got is known once they are built.
            is_sorted = 'Objects365V1' in str(dataset.get('type'))
            if path.is_file() and not is_sorted:  # where there is none, see check_data_files
                check_coco_classes(place, str(path), classes)
