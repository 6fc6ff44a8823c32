"""Detection: annotation files in COCO's format, and what mmdetection makes of them."""

import contextlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .findings import Finding, error, some, warning
from .subject import Subject

READERS = ('load_data_list', 'parse_data_info')
KEYS = {'images': ('file_name', 'height', 'width'), 'annotations': ('bbox', 'area')}
"""What mmdetection reads, besides what pycocotools does."""


class CocoFile(NamedTuple):
    """What was found in an annotation file: names by category, and faults (also of outlines)."""

    names: dict[int, str]
    num_images: int
    faults: list[Finding]
    outlines: list[Finding]


def read_coco(ann_file: str) -> CocoFile:
    """Read an annotation file, once while it does not change; what is kept is small."""
    return _read_coco(ann_file, os.stat(ann_file).st_mtime_ns)


@lru_cache(maxsize=8)
def _read_coco(ann_file: str, _: int) -> CocoFile:
    from pycocotools.coco import COCO

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            coco = COCO(ann_file)
    except (KeyError, TypeError, ValueError, AssertionError) as fault:
        text = f'no annotations in the format of COCO ({type(fault).__name__}: {fault})'
        return CocoFile({}, 0, [error(text, ann_file)], [])
    names = {category['id']: category['name'] for category in coco.dataset.get('categories', [])}
    num_images = len(coco.dataset.get('images', []))
    return CocoFile(names, num_images, list(_faults(coco, ann_file)), list(_outlines(coco)))


def _faults(coco: Any, ann_file: str) -> Iterator[Finding]:
    images, objects = (coco.dataset.get(key, []) for key in KEYS)
    ids = Counter(image['id'] for image in images)
    for image in images:
        if ids[image['id']] > 1:
            text = 'several images have this id, of which one is read. Number them anew'
            yield error(text, f'{image.get("file_name")} (id {image["id"]} in {ann_file})')
    lacking = [
        k
        for kind, keys in KEYS.items()
        for k in keys
        for i in coco.dataset.get(kind, [])
        if k not in i
    ]
    if lacking:
        yield error(f'entries without {dict(Counter(lacking))}, which mmdetection needs', ann_file)
        return
    if not objects:
        yield error('no annotations: nothing to learn, or to measure by (-1)', ann_file)
        return
    boxes = np.array([item['bbox'] for item in objects], float).reshape(-1, 4)
    if boxes.max() <= 1:
        yield error(
            'boxes from 0 to 1: are they shares of the picture? COCO has x, y, width and height in '
            'pixels; mmdetection drops boxes below one',
            ann_file,
        )
    elif all(item.get('iscrowd') for item in objects):
        yield error('all objects are iscrowd=1, which is ignored. Set it to 0.', ann_file)
    known = np.array(
        [i['image_id'] in coco.imgs and i['category_id'] in coco.cats for i in objects]
    )
    if not known.all():
        text = f'{(~known).sum()} of {len(known)} objects name an image_id or category_id that is '
        yield (warning if known.any() else error)(text + 'not there, and are dropped', ann_file)
    shapes = [
        (i['width'], i['height']) for i in map(coco.imgs.get, (o['image_id'] for o in objects)) if i
    ]
    small = (boxes[:, 2:] < 1).any(1) & (boxes.max() > 1)
    beyond = np.zeros(len(boxes), bool)
    if len(shapes) == len(boxes):
        beyond = (boxes[:, :2] + boxes[:, 2:] > np.array(shapes) + 1).any(1)
    for places, text in (
        (small, 'boxes of less than a pixel, which are dropped'),
        (beyond, 'boxes reach out of the picture. Are they corners, not x, y, width and height?'),
    ):
        for index in np.flatnonzero(places):
            name = coco.imgs.get(objects[index]['image_id'], {}).get('file_name', '')
            yield warning(text, f'{name} (in {ann_file})')


def _outlines(coco: Any) -> Iterator[Finding]:
    """Objects from which a mask head learns nothing, or which end the training."""
    objects = [item for item in coco.dataset.get('annotations', []) if not item.get('iscrowd')]
    short = [_is_short(item.get('segmentation')) for item in objects]
    for item, is_short in zip(objects, short, strict=True):
        name = coco.imgs.get(item['image_id'], {}).get('file_name', '')
        if not item.get('segmentation'):
            text = (
                'boxes without outlines (segmentation), which the mask head needs. Draw them, or '
            )
            yield error(text + 'take a detector without masks.', name)
        elif is_short:
            text = 'outlines of less than three points (are they boxes?), which are ignored'
            yield (error if all(short) else warning)(text, name)


def _is_short(outline: Any) -> bool:
    """Whether mmdetection ignores it: no polygon has three points, each of two numbers."""
    is_list = isinstance(outline, list)
    return is_list and not any(len(p) > 5 and len(p) % 2 == 0 for p in outline)


def reads_coco(kind: type | None) -> bool:
    """Whether a class of data set reads COCO's format as mmdetection's own does."""
    methods = [getattr(getattr(kind, name, None), '__qualname__', '') for name in READERS]
    return methods == [f'CocoDataset.{name}' for name in READERS]


def check_coco_classes(
    ann_file: str, classes: Sequence[str], cat_ids: Sequence[int] | None = None
) -> Iterator[Finding]:
    """Names of classes that an annotation file has no category for, or in another order.

    mmdetection drops classes without a category; if it drops all of them it has no image left, and
    fails at putting together nothing. It numbers labels by the order of the categories, whatever
    that of the names: in another, each class is reported under another's name.

    Args:
        ann_file: A COCO annotation file.
        classes: Names.
        cat_ids: Categories by label, of a data set that is built. Default: those with a name in
            ``classes``, in the order of the file.
    """
    names = read_coco(ann_file).names
    absent = [name for name in classes if name not in names.values()]
    if cat_ids is None:
        cat_ids = [number for number, name in names.items() if name in classes]
    ordered = [names[number] for number in cat_ids]
    if absent:
        yield error(
            f'metainfo.classes has {absent[:20]}, which are no categories of {ann_file}; those are '
            f'{list(names.values())[:20]}'
        )
    elif ordered != list(classes):
        yield error(
            f'metainfo.classes is {some(classes, 100)}, but mmdetection numbers labels by the '
            f'order of the categories in {ann_file}, which is {some(ordered, 100)}. Write '
            'the classes in this order, and the categories of every annotation file.'
        )


def check_objects(subject: Subject) -> Iterator[Finding]:
    """Names of classes, objects that teach nothing, pictures that are dropped."""
    dataset, cat_ids = subject.dataset, getattr(subject.dataset, 'cat_ids', None)
    if cat_ids is not None and isinstance(subject.own_classes, tuple):
        yield from check_coco_classes(dataset.ann_file, subject.own_classes, cat_ids)
    if not reads_coco(type(dataset)) or subject.name.startswith('test'):
        return
    coco = read_coco(dataset.ann_file)
    yield from coco.faults
    if subject.is_training and any(getattr(m, 'with_mask', False) for m in subject.model.modules()):
        yield from coco.outlines
    subject.seen.append(f'{subject.counts.total()} objects')
    dropped = coco.num_images - len(dataset)
    if dropped and subject.is_training:
        yield warning(
            f'{dropped} of {coco.num_images} images are left out, which have no object of the '
            'classes or are too small (filter_cfg)',
            dataset.ann_file,
        )
