"""Mistakes in one's own data, made on purpose in tiny data of the true formats.

Each is found as an error or as a warning, with the name of the file.
"""

import copy
import json
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope, init_default_scope
from PIL import Image
from torch import nn

from mmvidssl.apis import list_videos
from mmvidssl.data_checks import check_dataset
from mmvidssl.data_checks.config import find_in_config
from mmvidssl.registry import MODELS
from tests.test_downstream.utils_dense import configs_of, write_coco, write_image, write_masks
from tests.utils_video import write_video

ERROR, WARNING, MISSING = ValueError, UserWarning, FileNotFoundError
RED = np.full((96, 128, 3), (0, 0, 255), np.uint8)


@pytest.fixture(autouse=True)
def scope(monkeypatch):
    monkeypatch.setattr(DefaultScope, '_instance_dict', type(DefaultScope._instance_dict)())


@cache
def read_once(folder, name):
    return Config.fromfile(configs_of(folder)[name])


def config(folder, name):
    return copy.deepcopy(read_once(folder, name))


def found_in(cfg, model, part='train', num_opened=None):
    """As ``tools/datasets/check.py`` does."""
    found = list(find_in_config(cfg, [part]))
    if any(finding.kind is not WARNING for finding in found):
        return found
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg[f'{part}_dataloader'].dataset)
    return check_dataset(dataset, f'{part}_dataloader.dataset', model, num_opened).findings


def assert_found(found, kind, name):
    """The only error if it is one: nothing else is called wrong."""
    shown = [(f.kind, f'{f.file}: {f.text}') for f in found]
    assert any(k is kind and name in line for k, line in shown), shown
    assert kind is not WARNING or {k for k, _ in shown} == {WARNING}, shown


# Detection: an annotation file in COCO's format


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


def turn(path, orientation):
    """A picture whose stored pixels are to be turned; it is shown as it was."""
    with Image.open(path) as image:
        pixels = image.copy()
    if orientation == 6:
        pixels = pixels.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels.save(path, exif=exif)


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


def broken(path, share):
    """Leave so much of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize('share', [0, 0.6])
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'bmp', 'tiff'])
def test_pictures_that_cannot_be_read(coco, share, suffix):
    name = f'0.{suffix}'
    write_image(coco.folder / 'train' / name, RED)
    coco.change(first_image(file_name=name))
    assert coco.found() == []
    broken(coco.folder / 'train' / name, share)
    assert_found(coco.found(), ERROR, name)


# Segmentation: pictures and masks


class Masks:
    """Four pictures and masks of three classes."""

    def __init__(self, folder):
        self.folder = folder
        write_masks(folder, 'images', 'masks', dict(train='train', val='val'), 3)
        cfg = config('ade20k', 'upernet_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512')
        for part in ('train', 'val'):
            cfg[f'{part}_dataloader'].dataset = dict(
                type='BaseSegDataset',
                _scope_='mmseg',
                data_root=str(folder),
                data_prefix=dict(img_path=f'images/{part}', seg_map_path=f'masks/{part}'),
                metainfo=dict(classes=['sky', 'sea', 'sand']),
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')],
                test_mode=part == 'val',
            )
        self.cfg = cfg

    def paths(self, part='train', kind='masks'):
        return sorted((self.folder / kind / part).iterdir())

    def change(self, change, paths):
        for path in paths:
            with Image.open(path) as image:
                pixels = change(np.array(image))
            Image.fromarray(pixels).save(path)

    def found(self, num_classes=3, part='train', num_opened=None, **options):
        options = dict(in_channels=4, channels=4, num_classes=num_classes, **options)
        init_default_scope('mmseg')
        model = nn.ModuleDict(dict(decode_head=MODELS.build(dict(type='mmseg.FCNHead', **options))))
        return found_in(self.cfg, model, part, num_opened)


@pytest.fixture
def masks(tmp_path):
    return Masks(tmp_path)


def test_right_masks(masks):
    (masks.folder / 'images/train/._0000.jpeg').touch()  # beside each file, from a Mac
    assert masks.found() == masks.found(part='val') == []


def test_one_class_under_softmax(masks):
    """mmseg#304: the loss is 0 from the first iteration on."""
    masks.change(np.zeros_like, masks.paths())
    masks.cfg.train_dataloader.dataset.metainfo.classes = ['sky']
    assert_found(masks.found(1), ERROR, 'model.decode_head')
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
    assert masks.found(1, loss_decode=loss) == []


def test_the_loss_of_one_class_is_zero():
    """That is why it is refused."""
    logits = np.random.default_rng(0).normal(size=(1, 1, 4, 4)).astype(np.float32)
    init_default_scope('mmseg')
    loss = MODELS.build(dict(type='mmseg.CrossEntropyLoss', use_sigmoid=False))
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    assert loss(torch.from_numpy(logits), labels) == 0


@pytest.mark.parametrize('num_opened', [2, None])
def test_masks_of_0_and_255(masks, num_opened):
    """mmseg#2111: what is to be found is left out of the loss, and its accuracy is nan."""
    masks.change(lambda mask: np.where(mask == 1, 255, 0).astype(np.uint8), masks.paths())
    masks.cfg.train_dataloader.dataset.metainfo.classes = ['background', 'human']
    assert_found(masks.found(2, num_opened=num_opened), ERROR, '255')


def test_masks_of_nothing(masks):
    masks.change(lambda mask: np.full_like(mask, 255), masks.paths()[:1])
    assert_found(masks.found(), WARNING, 'train/0000.png')
    masks.change(lambda mask: np.full_like(mask, 255), masks.paths())
    assert_found(masks.found(), ERROR, '255')
    masks.change(np.zeros_like, masks.paths('val'))
    masks.cfg.val_dataloader.dataset.reduce_zero_label = True
    assert_found(masks.found(part='val'), ERROR, 'reduce_zero_label')


def test_masks_of_another_size(masks):
    masks.change(lambda mask: mask[::2, ::2], masks.paths()[:1])
    assert_found(masks.found(), ERROR, '0000.jpg')


def test_masks_of_turned_pictures(masks):
    picture, mask = masks.paths(kind='images')[0], masks.paths()[0]
    turn(picture, 6)
    assert masks.found() == []
    masks.change(lambda mask: np.rot90(mask).copy(), [mask])
    assert_found(masks.found(), ERROR, '0000.jpg')


def test_a_class_in_no_mask(masks):
    masks.change(lambda mask: mask % 2, masks.paths())
    assert_found(masks.found(), WARNING, 'sand (2)')
    assert masks.found(num_opened=2) == []  # may be in the others


@pytest.mark.parametrize('suffix', ['.JPG', '.jpeg', '.png'])
def test_pictures_left_out_for_their_suffix(masks, suffix):
    for path in masks.paths(kind='images')[:2]:
        write_image(path.with_suffix(suffix), RED)
        path.unlink()
    assert_found(masks.found(), WARNING, f'train/0000{suffix}')
    assert_found(masks.found(num_opened=2), WARNING, f'train/0000{suffix}')


@pytest.mark.parametrize('kind', ['images', 'masks'])
def test_files_that_cannot_be_read(masks, kind):
    broken(masks.paths(kind=kind)[1], 0.5)
    assert_found(masks.found(), ERROR, masks.paths(kind=kind)[1].name)
    broken(masks.paths(kind=kind)[1], 0)
    assert_found(masks.found(), ERROR, masks.paths(kind=kind)[1].name)


def test_validation_without_masks(masks):
    masks.cfg.val_dataloader.dataset.data_prefix = dict(img_path='images/val')
    assert_found(masks.found(part='val'), ERROR, 'seg_map_path')


# Classification: lists of videos, folders of pictures


class Videos:
    """Two videos each of two classes, listed."""

    def __init__(self, folder):
        self.folder = folder
        for name in ('cat', 'dog'):
            (folder / name).mkdir()
            for index in range(2):
                write_video(folder / name / f'{index}.mp4', num_frames=4, size=(96, 128))
        list_videos(folder, folder, val_share=0.5)
        cfg = config('kinetics', 'mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400')
        for part in ('train', 'val'):
            cfg[f'{part}_dataloader'].dataset.update(
                ann_file=str(folder / f'{part}.txt'),
                data_prefix=dict(video=str(folder)),
                metainfo=dict(classes=['cat', 'dog']),
            )
        self.cfg = cfg

    def change(self, change, part='train'):
        path = self.folder / f'{part}.txt'
        path.write_text('\n'.join(change(path.read_text().splitlines())))

    def found(self, part='train', num_classes=2):
        init_default_scope('mmaction')
        head = MODELS.build(dict(type='mmaction.TSNHead', num_classes=num_classes, in_channels=4))
        return found_in(self.cfg, nn.ModuleDict(dict(cls_head=head)), part)


@pytest.fixture
def videos(tmp_path):
    return Videos(tmp_path)


def test_right_videos(videos):
    assert videos.found() == videos.found('val') == []


@pytest.mark.parametrize('share', [0, 0.3])
def test_videos_that_cannot_be_opened(videos, share):
    name = (videos.folder / 'train.txt').read_text().splitlines()[0].split()[0]
    broken(videos.folder / name, share)
    assert_found(videos.found(), ERROR, name)


LISTS = {
    'labels from 1': (lambda lines: [f'{x[:-1]}{int(x[-1]) + 1}' for x in lines], 'from 1 to 2'),
    'a label without a class': (lambda lines: [*lines[:-1], f'{lines[-1][:-1]}7'], 'to 7'),
    'a class without a video': (lambda lines: lines[:1], 'train.txt'),
    'labels exchanged': (lambda lines: [f'{x[:-1]}{1 - int(x[-1])}' for x in lines], '0 for'),
    'a line without a label': (lambda lines: [lines[0][:-2], *lines[1:]], 'from -1 to 1'),
    'no labels': (lambda lines: [line[:-2] for line in lines], 'train.txt'),
}


@pytest.mark.parametrize('change, name', LISTS.values(), ids=LISTS)
def test_lists(videos, change, name):
    """mmaction2#2659 numbers from 1."""
    videos.change(change)
    assert_found(videos.found(), ERROR, name)


def test_validation_without_labels(videos):
    videos.change(lambda lines: [line[:-2] for line in lines], 'val')
    assert_found(videos.found('val'), ERROR, 'val.txt')


def test_names_with_spaces(videos):
    """mmaction2#2659: 'drinking (31).mp4 1'."""
    (videos.folder / 'cat').rename(videos.folder / 'a cat')
    videos.change(lambda lines: [line.replace('cat', 'a cat') for line in lines])
    assert videos.found() == []


def test_one_class_of_videos(videos):
    videos.change(lambda lines: [line for line in lines if 'cat' in line])
    (videos.folder / 'classes.txt').write_text('cat')
    videos.cfg.train_dataloader.dataset.metainfo.classes = ['cat']
    assert_found(videos.found(num_classes=1), ERROR, 'model.cls_head')


def pictures(folder, num_classes=2, **options):
    """Findings of two folders of pictures."""
    for name in ('cat', 'dog'):
        write_image(folder / name / '0.png', RED)
    init_default_scope('mmpretrain')
    options = dict(dict(type='CustomDataset', pipeline=[]), data_root=str(folder), **options)
    head = MODELS.build(
        dict(type='mmpretrain.LinearClsHead', num_classes=num_classes, in_channels=4)
    )
    cfg = Config(dict(default_scope='mmpretrain', train_dataloader=dict(dataset=options)))
    return found_in(cfg, nn.ModuleDict(dict(head=head)))


def test_right_folders_of_pictures(tmp_path):
    assert pictures(tmp_path) == []
    assert pictures(tmp_path, metainfo=dict(classes=['cat', 'dog'])) == []
    assert pictures(tmp_path, metainfo=dict(classes=['kitten', 'puppy'])) == []


def test_two_folders_are_not_imagenet(tmp_path):
    """mmpretrain#819: its ImageNet refuses them by itself, and our configs name no thousand."""
    with pytest.raises(AssertionError, match=r'\(2\) .*\(1000\)'):
        pictures(tmp_path, type='ImageNet')


def test_order_of_folders_of_pictures(tmp_path):
    """mmpretrain compares how many there are."""
    assert_found(pictures(tmp_path, metainfo=dict(classes=['dog', 'cat'])), ERROR, 'cat, dog')


def test_folder_without_a_picture(tmp_path):
    write_image(tmp_path / 'eel/0.webp', RED)
    assert_found(pictures(tmp_path, 3), ERROR, 'eel (2)')


def test_some_of_the_classes_of_imagenet(tmp_path):
    """May be meant: their names are the data set's own."""
    (tmp_path / 'train.txt').write_text('cat/0.png 3\ndog/0.png 7')
    options = dict(type='ImageNet', ann_file='train.txt')
    assert_found(pictures(tmp_path, 1000, **options), WARNING, 'train.txt')


def test_pictures_of_another_suffix(tmp_path):
    write_image(tmp_path / 'cat/1.webp', RED)
    assert_found(pictures(tmp_path), WARNING, 'cat/1.webp')


def test_broken_picture_in_a_folder(tmp_path):
    pictures(tmp_path)
    write_image(tmp_path / 'cat/1.png', RED)
    broken(tmp_path / 'cat/1.png', 0.9)
    assert_found(pictures(tmp_path), ERROR, 'cat/1.png')
