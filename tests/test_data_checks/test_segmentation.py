"""Mistakes in pictures and masks."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image
from torch import nn

from mmvidssl.registry import MODELS
from tests.test_data_checks.utils import (
    ERROR,
    RED,
    WARNING,
    assert_found,
    broken,
    config,
    found_in,
    turn,
)
from tests.test_downstream.utils_dense import write_image, write_masks


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
