"""Checks of detection data: COCO annotation files, and what mmdetection makes of them."""

import contextlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import numpy as np

from .subject import Finding, Subject, error, warning


def check_objects(subject: Subject) -> Iterator[Finding]:
    """Find wrong class names, unusable objects, and images that mmdetection drops."""
    ann_file, is_training = subject.dataset.ann_file, subject.part == 'train'
    if not reads_coco(type(subject.dataset)):
        return
    yield from check_coco(subject.part, ann_file, subject.classes)
    _, num_images, _, faults = read_coco(ann_file, os.stat(ann_file).st_mtime_ns)
    if is_training and any(getattr(m, 'with_mask', False) for m in subject.model.modules()):
        yield from faults
    if is_training and (dropped := num_images - len(subject.dataset)):
        text = 'images are left out, as without object of the classes or too small (filter_cfg)'
        yield warning(f'{dropped} of {num_images} {text}', ann_file)


def reads_coco(kind: Any) -> bool:
    """Whether a data set class loads annotations as mmdetection's ``CocoDataset``."""
    method = getattr(kind, 'load_data_list', None)
    return getattr(method, '__qualname__', '') == 'CocoDataset.load_data_list'


def check_coco(part: str, ann_file: str, classes: Sequence) -> Iterator[Finding]:
    """Find faults of an annotation file, and classes that do not match its categories.

    mmdetection drops classes without a category, and numbers labels in the order of categories.
    """
    names, _, faults, _ = read_coco(ann_file, os.stat(ann_file).st_mtime_ns)
    if part != 'test':  # which may have images alone
        yield from faults
    if not names or isinstance(classes, range):
        return
    if absent := [name for name in classes if name not in names]:
        text = f'{absent[:20]}, which are no categories of {ann_file}; those are {names[:20]}'
        yield error(f'metainfo.classes has {text}')
    pairs = zip_longest([name for name in names if name in classes], classes)
    wrong = [f'{n} is {own!r}, not {name!r}' for n, (own, name) in enumerate(pairs) if own != name]
    if wrong and not absent:
        text = f'labels are in the order of the categories in {ann_file}: {wrong[0]}. Write classes'
        yield error(f'{text} (metainfo.classes, classes.txt) so, and categories of other files.')


@lru_cache(maxsize=8)
def read_coco(ann_file: str, time_of_change: int) -> tuple[list, int, list, list]:
    """Read category names, number of images, faults, faults of outlines; cached."""
    from pycocotools.coco import COCO

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            coco = COCO(ann_file)
        names = [category['name'] for category in coco.dataset['categories']]
        return names, len(coco.dataset['images']), *_faults(coco, ann_file)
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as fault:
        text = f'not as mmdetection reads it ({type(fault).__name__}: {fault})'
        return [], 0, [error(text, ann_file)], []


def _faults(coco: Any, ann_file: str) -> tuple[list[Finding], list[Finding]]:
    """Faults of images and boxes, and of outlines; ``KeyError`` if a key is missing."""
    images, objects = coco.dataset['images'], coco.dataset['annotations']
    ids = Counter(image['id'] for image in images)
    text = f'in {ann_file}: several images of this id, of which one is read. Number them anew'
    faults = [error(text, image['file_name']) for image in images if ids[image['id']] > 1]
    sizes = {image['id']: (image['width'], image['height']) for image in images}
    if not objects:
        return [*faults, error('no annotations: nothing to learn, or measure by', ann_file)], []
    boxes = np.array([item['bbox'] for item in objects], float).reshape(-1, 4)
    area = np.array([item['area'] for item in objects])
    size = np.array([sizes.get(item['image_id'], (np.inf, np.inf)) for item in objects])
    is_known = np.array([i['image_id'] in sizes and i['category_id'] in coco.cats for i in objects])
    is_crowd = np.array([bool(item.get('iscrowd')) for item in objects])
    outlines = [item.get('segmentation') for item in objects]
    has_outline = np.array([bool(outline) for outline in outlines])
    # mmdetection ignores these: no polygon has at least three points (x, y).
    polygons = [outline if isinstance(outline, list) else [range(6)] for outline in outlines]
    is_short = [all(len(p) < 6 or len(p) % 2 for p in polygon) for polygon in polygons]

    def find(where: np.ndarray, text: str, is_error: bool = False) -> Iterator[Finding]:
        """One finding per image; errors instead of warnings if all objects are so."""
        kind = error if is_error or (where | is_crowd).all() else warning
        found = (coco.imgs.get(objects[i]['image_id'], {}) for i in np.flatnonzero(where))
        for name in dict.fromkeys(image.get('file_name', 'no image') for image in found):
            yield kind(f'in {ann_file}: {text}', name)

    hint = '. Are they x, y, width and height in pixels, not corners, nor shares of the picture?'
    faults += [  # the last two find boxes with NaN too, which mmdetection drops
        *find(is_crowd & is_crowd.all(), 'all objects are iscrowd=1, which is ignored'),
        *find(~is_known, 'image_id or category_id that is not there: the object is dropped'),
        *find(~(boxes[:, 2:] > 1).all(1) | (area <= 0), 'boxes of a pixel or less' + hint),
        *find(~(boxes[:, :2] + boxes[:, 2:] <= size + 1).all(1), 'boxes reach out of it' + hint),
    ]
    text = 'no outlines (segmentation), which mask heads need. Draw them, or use no mask head'
    absent = [*find(~is_crowd & ~has_outline, text, is_error=True)]
    short = ~is_crowd & has_outline & is_short
    return faults, [*absent, *find(short, 'outlines of less than three points are ignored')]
