"""Images with object boxes, for evaluating object discovery: VOC, COCO20k, DAVIS."""

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
"""x0, y0, x1, y1 of each object in pixels; x1 and y1 are one past the last pixel."""


class ObjectBoxDataset(BaseDataset, ABC):
    """Base class: one sample per image, with ``img_path`` and ``boxes`` (:data:`Boxes`).

    Args:
        data_root: Folder of the set.
        ann_file: List of image names in it, one a line.
        **kwargs: As in MMEngine's ``BaseDataset``.

    Raises:
        FileNotFoundError: if the list, an image or an annotation is missing; names it.
        ValueError: if nothing is listed, or an annotation cannot be read; names it.
    """

    IMAGE: str
    """Path of an image in ``data_root``; ``{}`` is its name."""
    ANNOTATION: str
    """Path of its annotation, likewise."""

    def load_data_list(self) -> list[dict]:
        """One dict per image: ``img_path`` and ``boxes``."""
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
        """Boxes of the image called ``name``, from its annotation at ``path``."""


@DATASETS.register_module()
class VOCBoxDataset(ObjectBoxDataset):
    """Pascal VOC: all objects, difficult and truncated ones too (LOST without ``--no_hard``)."""

    IMAGE, ANNOTATION = 'JPEGImages/{}.jpg', 'Annotations/{}.xml'

    def read_boxes(self, path: Path, name: str) -> Boxes:
        """Converted from the file, which counts pixels from 1 and names the last one inside."""
        corners = dict(xmin=-1, ymin=-1, xmax=0, ymax=0)
        boxes = ElementTree.parse(path).iterfind('object/bndbox')
        return [[int(float(b.findtext(k, ''))) + d for k, d in corners.items()] for b in boxes]


@DATASETS.register_module()
class COCOBoxDataset(ObjectBoxDataset):
    """Images of COCO train2014, listed as ``train2014/COCO_train2014_X.jpg``.

    COCO20k, on which LOST was evaluated, is a list of 19,817 images that comes with LOST's code.
    As there, crowds do not count, and corners are rounded.
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
        """Bounding box of each object id in the mask (:func:`read_object_mask`); 255 is void."""
        mask = read_object_mask(path)
        found = filter(None, ndimage.find_objects(np.where(mask == 255, 0, mask)))
        return [[x.start, y.start, x.stop, y.stop] for y, x in found]
