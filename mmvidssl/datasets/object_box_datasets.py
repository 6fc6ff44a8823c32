"""Pictures, and the boxes of the objects in them, of the sets on which discovery is measured."""

import json
import os
from abc import ABC, abstractmethod
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from mmengine.dataset import BaseDataset
from scipy import ndimage

from mmvidssl.registry import DATASETS
from mmvidssl.utils.listing import find_missing, read_lines, some

from .frame_folders import read_sequences
from .transforms.frame_folders import read_object_mask

Boxes = list[list[int]]
"""x0, y0, x1, y1 of each object, in pixels, from edge to edge."""


class ObjectBoxDataset(BaseDataset, ABC):
    """Pictures with ``img_path`` and ``boxes``, one x0, y0, x1, y1 for each object.

    Args:
        data_root: Folder of the set.
        ann_file: List in it, a name a line.
        **kwargs: As in MMEngine's ``BaseDataset``.

    Raises:
        FileNotFoundError: if the list, a picture or an annotation is missing; names it.
        ValueError: if nothing is listed, or an annotation cannot be read; names it.
    """

    IMAGE: str
    """File of a name, in ``data_root``."""
    ANNOTATION: str
    """Likewise."""

    def load_data_list(self) -> list[dict]:
        """See MMEngine."""
        names = self.read_names(self.ann_file)
        images = [os.path.join(self.data_root, self.IMAGE.format(name)) for name in names]
        if missing := find_missing(images):
            raise FileNotFoundError(f'{self.ann_file} lists what is not there: {some(missing)}')
        data = []
        for name, image in zip(names, images, strict=True):
            path = Path(self.data_root, self.ANNOTATION.format(name))
            try:
                boxes = self.read_boxes(path, name)
            except FileNotFoundError:
                raise
            except (OSError, SyntaxError, ValueError, KeyError, TypeError) as error:
                raise ValueError(f'{path} cannot be read ({error!r}); get it again') from error
            data.append(dict(img_path=image, boxes=boxes))
        return data

    @staticmethod
    def read_names(ann_file: str) -> list[str]:
        """The first word of each line of the list."""
        return [line.split()[0] for line in read_lines(ann_file)]

    @abstractmethod
    def read_boxes(self, path: Path, name: str) -> Boxes:
        """Those of the picture of a name, from its annotation."""


@DATASETS.register_module()
class VOCBoxDataset(ObjectBoxDataset):
    """Pascal VOC: all objects, difficult and truncated ones too (LOST without ``--no_hard``)."""

    IMAGE, ANNOTATION = 'JPEGImages/{}.jpg', 'Annotations/{}.xml'

    def read_boxes(self, path: Path, name: str) -> Boxes:
        """In the file pixels count from 1, and the last is inside."""
        corners = dict(xmin=-1, ymin=-1, xmax=0, ymax=0)
        boxes = ElementTree.parse(path).iterfind('object/bndbox')
        return [[int(float(b.findtext(k, ''))) + d for k, d in corners.items()] for b in boxes]


@DATASETS.register_module()
class COCOBoxDataset(ObjectBoxDataset):
    """Pictures of COCO's training set of 2014, listed as ``train2014/COCO_train2014_X.jpg``.

    COCO20k, on which LOST was evaluated, is a list of 19,817 that comes with its code. As there,
    crowds do not count, and corners are rounded.
    """

    IMAGE, ANNOTATION = '{}', 'annotations/instances_train2014.json'

    def read_boxes(self, path: Path, name: str) -> Boxes:
        """See the base class."""
        return self._boxes[os.path.basename(name)]

    @cached_property
    def _boxes(self) -> dict[str, Boxes]:
        content = json.loads(Path(self.data_root, self.ANNOTATION).read_text())
        boxes: dict[int, Boxes] = defaultdict(list)
        for instance in content['annotations']:
            if not instance['iscrowd']:
                x, y, width, height = instance['bbox']
                corners = x, y, x + width, y + height
                boxes[instance['image_id']].append([round(corner) for corner in corners])
        return {picture['file_name']: boxes[picture['id']] for picture in content['images']}


@DATASETS.register_module()
class DAVISBoxDataset(ObjectBoxDataset):
    """The first frame of each sequence of DAVIS-2016 or 2017, with a box around each object."""

    IMAGE, ANNOTATION = 'JPEGImages/480p/{}/00000.jpg', 'Annotations/480p/{}/00000.png'

    read_names = staticmethod(read_sequences)

    def read_boxes(self, path: Path, name: str) -> Boxes:
        """Of each id in the mask, see :func:`read_object_mask`; 255 is void."""
        mask = read_object_mask(path)
        found = filter(None, ndimage.find_objects(np.where(mask == 255, 0, mask)))
        return [[x.start, y.start, x.stop, y.stop] for y, x in found]
