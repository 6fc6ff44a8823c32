"""Mistakes in annotation files of COCO's format."""

import json

import cv2
import pytest
from mmengine.registry import init_default_scope
from torch import nn

from mmvidssl.registry import MODELS
from tests.test_data_checks.utils import (
    ERROR,
    MISSING,
    RED,
    WARNING,
    assert_found,
    broken,
    config,
    found_in,
    turn,
)
from tests.test_downstream.utils_dense import write_coco, write_image


class Coco:
    """Two pictures for validation and four to train on, of a cat and a dog each."""

    def __init__(self, folder):
        self.folder, self.name = folder, 'annotations/train.json'
        parts = ('train', 'val')
        write_coco(
            folder,
            {part: f'annotations/{part}.json' for part in parts},
            {part: part for part in parts},
            ['cat', 'dog'],
        )
        cfg = config('coco', 'mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-12e_coco')
        for part in parts:
            cfg[f'{part}_dataloader'].dataset.update(
                data_root=str(folder),
                ann_file=f'annotations/{part}.json',
                data_prefix=dict(img=f'{part}/'),
                metainfo=dict(classes=['cat', 'dog']),
            )
        cfg.val_evaluator.ann_file = str(folder / 'annotations/val.json')
        head = cfg.model.roi_head
        head.bbox_head.num_classes = head.mask_head.num_classes = 2
        head.bbox_head.fc_out_channels = 8
        head.update(train_cfg=cfg.model.train_cfg.rcnn, test_cfg=cfg.model.test_cfg.rcnn)
        init_default_scope('mmdet')
        self.cfg, self.model = cfg, nn.ModuleDict(dict(roi_head=MODELS.build(head)))

    def change(self, change, part='train'):
        path = self.folder / f'annotations/{part}.json'
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    def found(self, **options):
        return found_in(self.cfg, self.model, **options)


@pytest.fixture
def coco(tmp_path):
    return Coco(tmp_path)


def each_object(**changes):
    def change(content):
        for item in content['annotations']:
            item.update({k: v(item) if callable(v) else v for k, v in changes.items()})

    return change


def first_object(**changes):
    return lambda content: content['annotations'][0].update(changes)


def first_image(**changes):
    return lambda content: content['images'][0].update(changes)


def without(key, kind='annotations'):
    return lambda content: [item.pop(key) for item in content[kind]]


COCO = {
    'normalised boxes': (
        each_object(bbox=lambda item: [round(number / 128, 3) for number in item['bbox']]),
        ERROR,
        'train.json',
    ),
    'all iscrowd': (each_object(iscrowd=1), ERROR, 'train.json'),
    'no outlines': (without('segmentation'), ERROR, '000000.jpg'),  # mmdet#10961
    'an outline missing': (first_object(segmentation=[]), ERROR, '000000.jpg'),
    'polygons of four numbers': (  # mmdet#7776
        each_object(segmentation=lambda item: [item['bbox']]),
        ERROR,
        '000003.jpg',
    ),
    'a polygon of four numbers': (first_object(segmentation=[[1, 1, 9, 9]]), WARNING, '000000.jpg'),
    'picture of another size': (first_image(width=120), ERROR, '000000.jpg'),
    'duplicate image ids': (first_image(id=1), ERROR, '000000.jpg'),
    'no annotations': (lambda content: content['annotations'].clear(), ERROR, 'train.json'),
    'no area': (without('area'), ERROR, 'train.json'),
    'no ids': (without('id', 'images'), ERROR, 'train.json'),
    'a category that is not there': (first_object(category_id=77), WARNING, 'train.json'),
    'no category that is there': (each_object(category_id=77), ERROR, 'train.json'),
    'an image that is not there': (first_object(image_id=77), WARNING, 'train.json'),
    'corners for sizes': (first_object(bbox=[10, 12, 120, 82]), WARNING, '000000.jpg'),
    'a box of NaN': (first_object(bbox=[10, 12, float('nan'), 80]), WARNING, '000000.jpg'),
    'boxes of NaN': (each_object(bbox=[float('nan'), 12, 9, 80]), ERROR, '000000.jpg'),
    'a box of no size': (first_object(bbox=[10, 12, 0.5, 80]), WARNING, '000000.jpg'),
    'pictures without objects': (
        lambda content: content['images'].append(dict(content['images'][0], id=9)),
        WARNING,
        'train.json',
    ),
    'a class never seen': (each_object(category_id=1), WARNING, 'dog (1)'),
    'categories in another order': (
        lambda content: content['categories'].reverse(),
        ERROR,
        'train.json',
    ),
    'a picture that is not there': (first_image(file_name='no.jpg'), MISSING, 'no.jpg'),
}


def test_right_annotations(coco):
    assert coco.found() == coco.found(part='val') == coco.found(num_opened=2) == []


@pytest.mark.parametrize('change, kind, name', COCO.values(), ids=COCO)
def test_annotations(coco, change, kind, name):
    coco.change(change)
    assert_found(coco.found(), kind, name)


def test_a_detector_without_masks_needs_no_outlines(coco):
    coco.change(without('segmentation'))
    del coco.model['roi_head'].mask_head
    assert coco.found() == []


def test_validation_without_annotations(coco):
    """Its -1 would be saved as the best."""
    coco.change(lambda content: content['annotations'].clear(), part='val')
    assert_found(coco.found(part='val'), ERROR, 'val.json')


def test_what_is_no_annotation_file(coco):
    (coco.folder / coco.name).write_text('{"images": [')
    assert_found(coco.found(), ERROR, 'train.json')
    (coco.folder / coco.name).write_text('[1, 2]')
    assert_found(coco.found(), ERROR, 'train.json')


def test_pictures_turned_by_exif(coco):
    """Unless they are read as they are stored (mmcv#1091)."""
    path = coco.folder / 'train/000000.jpg'
    turn(path, 6)
    assert cv2.imread(str(path)).shape == (96, 128, 3)
    assert coco.found() == []  # annotated as it is seen
    coco.change(first_image(width=96, height=128))
    assert_found(coco.found(), ERROR, '000000.jpg')
    assert_found(coco.found(num_opened=2), ERROR, '000000.jpg')
    coco.cfg.train_dataloader.dataset.pipeline[0].color_type = 'color_ignore_orientation'
    assert {finding.kind for finding in coco.found()} == {WARNING}  # boxes reach out


def test_pictures_turned_upside_down(coco):
    turn(coco.folder / 'train/000000.jpg', 3)
    assert_found(coco.found(), WARNING, '000000.jpg')


@pytest.mark.parametrize('share', [0, 0.6])
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'bmp', 'tiff'])
def test_pictures_that_cannot_be_read(coco, share, suffix):
    name = f'0.{suffix}'
    write_image(coco.folder / 'train' / name, RED)
    coco.change(first_image(file_name=name))
    assert coco.found() == []
    broken(coco.folder / 'train' / name, share)
    assert_found(coco.found(), ERROR, name)
