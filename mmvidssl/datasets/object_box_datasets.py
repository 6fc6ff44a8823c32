"""Pictures, and the boxes of the objects in them, of the sets on which discovery is measured."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image
from scipy import ndimage

from mmvidssl.registry import DATASETS
from mmvidssl.utils.text_file import read_lines

from .list_files import find_missing, some

Boxes = list[list[int]]
"""x0, y0, x1, y1 of each object, in pixels, from edge to edge."""


class ObjectBoxDataset(BaseDataset):
    """Pictures with ``img_path`` and ``boxes``, one x0, y0, x1, y1 for each object.

    Args:
        data_root: Folder of the set.
        ann_file: List in it, a picture a line.
        **kwargs: As in MMEngine's ``BaseDataset``.

    Raises:
        FileNotFoundError: if the list, a picture or an annotation is missing; names it.
        ValueError: if nothing is listed, or an annotation cannot be read; names it.
    """

    def load_data_list(self) -> list[dict]:
        """See MMEngine."""
        names = [line.split()[0] for line in read_lines(self.ann_file)]
        if not names:
            raise ValueError(f'{self.ann_file} lists no picture')
        data = [
            dict(img_path=os.path.join(self.data_root, path), boxes=boxes)
            for path, boxes in self.read_boxes(names)
        ]
        if missing := find_missing([sample['img_path'] for sample in data]):
            raise FileNotFoundError(f'{self.ann_file} lists what is not there: {some(missing)}')
        return data

    def read_boxes(self, names: list[str]) -> Iterator[tuple[str, Boxes]]:
        """Path, relative to ``data_root``, and boxes of each picture that is listed."""
        raise NotImplementedError


@DATASETS.register_module()
class VOCBoxDataset(ObjectBoxDataset):
    """Pascal VOC: ``JPEGImages/NAME.jpg`` and ``Annotations/NAME.xml`` of each NAME in a list.

    All objects count, difficult and truncated ones too (LOST without ``--no_hard``).
    """

    def read_boxes(self, names: list[str]) -> Iterator[tuple[str, Boxes]]:
        """In the files pixels count from 1, and the last is inside."""
        corners = dict(xmin=-1, ymin=-1, xmax=0, ymax=0)
        for name in names:
            path = Path(self.data_root, 'Annotations', f'{name}.xml')
            try:
                found = [*ElementTree.parse(path).iterfind('object/bndbox')]
                boxes = [
                    [int(float(b.findtext(k, ''))) + d for k, d in corners.items()] for b in found
                ]
            except (ElementTree.ParseError, ValueError) as error:
                raise ValueError(
                    f'{path} is no annotation of VOC: {error}; get it again'
                ) from error
            yield f'JPEGImages/{name}.jpg', boxes


@DATASETS.register_module()
class COCOBoxDataset(ObjectBoxDataset):
    """Pictures of COCO that a list names by file, ``train2014/COCO_train2014_000000560992.jpg``.

    COCO20k, on which LOST was evaluated, is a list of 19,817 that comes with its code. Crowds do
    not count, and corners are rounded, as there.

    Args:
        instances: COCO's annotations in ``data_root``.
        **kwargs: See :class:`ObjectBoxDataset`.
    """

    def __init__(self, instances: str, data_root: str = '', **kwargs) -> None:
        self.instances = os.path.join(data_root, instances)
        super().__init__(data_root=data_root, **kwargs)

    def read_boxes(self, names: list[str]) -> Iterator[tuple[str, Boxes]]:
        """See the base class."""
        boxes: dict[int, Boxes] = defaultdict(list)
        try:
            content = json.loads(Path(self.instances).read_text())
            ids = {picture['file_name']: picture['id'] for picture in content['images']}
            for instance in content['annotations']:
                if not instance['iscrowd']:
                    x, y, width, height = instance['bbox']
                    corners = x, y, x + width, y + height
                    boxes[instance['image_id']].append([round(corner) for corner in corners])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{self.instances} is no annotation of COCO: {error!r}') from error
        if unknown := [name for name in names if os.path.basename(name) not in ids]:
            raise ValueError(f'{self.instances} has no picture {some(unknown)} of {self.ann_file}')
        for name in names:
            yield name, boxes[ids[os.path.basename(name)]]


@DATASETS.register_module()
class DAVISBoxDataset(ObjectBoxDataset):
    """The first frame of each sequence of DAVIS in a list, with a box around each object's mask.

    Args:
        resolution: Folder of frames and of masks.
        **kwargs: See :class:`ObjectBoxDataset`.
    """

    def __init__(self, resolution: str = '480p', **kwargs) -> None:
        self.resolution = resolution
        super().__init__(**kwargs)

    def read_boxes(self, names: list[str]) -> Iterator[tuple[str, Boxes]]:
        """Of each id in the mask; 255, the only one of DAVIS-2016, is one too."""
        for name in names:
            frame = f'{self.resolution}/{name}/00000'
            path = Path(self.data_root, 'Annotations', f'{frame}.png')
            try:
                with Image.open(path) as image:
                    mask = np.array(image if image.mode == 'P' else image.convert('L'))
            except FileNotFoundError:
                raise
            except OSError as error:
                raise ValueError(f'{path} is no mask: {error}; get it again') from error
            found = filter(None, ndimage.find_objects(mask))
            boxes = [[x.start, y.start, x.stop, y.stop] for y, x in found]
            yield f'JPEGImages/{frame}.jpg', boxes
