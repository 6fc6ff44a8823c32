# UperNet on your own images and masks, from a ViT-S/16 of DoRA or DINO; 20000 iterations.
#
# Paper:    none.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_masks PRETRAINED=CHECKPOINT \
#           python tools/train.py \
#           configs/downstream/ade20k/upernet_vit-small-p16_dora-wt-pre_1xb4-amp-20k_own-data-512x512.py
_base_ = './upernet_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512.py'

import os

from mmvidssl.data_checks import read_class_file

# What is yours: set these variables in the environment, or their defaults here in a copy beside
# this file. The folder holds images/train/, images/val/, masks/train/, masks/val/ and classes.txt,
# the names of the classes, one a line. A mask has the name of its image and ends in .png; its
# numbers are the lines of classes.txt, from 0; 255 is left out.
data_root = os.environ.get('DATA_ROOT', 'data/my_masks')
classes = read_class_file(f'{data_root}/classes.txt')
img_suffix = os.environ.get('IMG_SUFFIX', '.jpg')
pretrained = os.environ.get('PRETRAINED', 'work_dirs/dora/epoch_100.pth')
# Prefix of the teacher in a training checkpoint; for a published or converted file, 'backbone.';
# for another library's file, none (PREFIX=).
prefix = os.environ.get('PREFIX', 'teacher.backbone.')

model = dict(
    backbone=dict(init_cfg=dict(checkpoint=pretrained, prefix=prefix)),
    decode_head=dict(num_classes=len(classes)),
    auxiliary_head=dict(num_classes=len(classes)),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=False),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=False),
    dict(type='PackSegInputs'),
]
dataset = dict(
    _delete_=True,
    type='BaseSegDataset',
    data_root=data_root,
    metainfo=dict(classes=classes),
    img_suffix=img_suffix,
    seg_map_suffix='.png',
    reduce_zero_label=False,
)
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='images/train', seg_map_path='masks/train'),
        pipeline=train_pipeline,
        **dataset,
    )
)
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='images/val', seg_map_path='masks/val'),
        pipeline=test_pipeline,
        test_mode=True,
        **dataset,
    )
)
test_dataloader = val_dataloader

train_cfg = dict(max_iters=20000, val_interval=2000)
# One GPU has a quarter of the batch: the rate of 3e-5 is scaled by its square root.
optim_wrapper = dict(optimizer=dict(lr=1.5e-5))
param_scheduler = [
    dict(type='mmvidssl.WarmupCosineLR', warmup=1500, start_ratio=1e-6, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(interval=2000, save_best='mIoU', rule='greater'))
