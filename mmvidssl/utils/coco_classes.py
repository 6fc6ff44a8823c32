"""Names of classes, and the categories of a COCO annotation file."""

import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from .data_files import leaves


def check_coco_classes(place: str, ann_file: str, classes: Sequence[str]) -> None:
    """Refuse names of classes that an annotation file has no category for.

    mmdetection drops such classes; if it drops all of them it has no image left, and fails at
    putting together nothing.

    Args:
        place: Of the data set, for the message.
        ann_file: A COCO annotation file.
        classes: Names.

    Raises:
        ValueError: names the classes, and the categories there are.
    """
    with open(ann_file, encoding='utf-8') as file:
        names = [category['name'] for category in json.load(file)['categories']]
    absent = [name for name in classes if name not in names]
    if absent:
        raise ValueError(
            f'{place}: metainfo.classes has {absent[:8]}, which are no categories of {ann_file}; '
            f'its {len(names)} categories are {names[:20]}. Set metainfo=dict(classes=...) to '
            'names of categories, and num_classes of the heads to how many they are.'
        )


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
            if path.is_file():  # else see check_data_files
                check_coco_classes(place, str(path), classes)
