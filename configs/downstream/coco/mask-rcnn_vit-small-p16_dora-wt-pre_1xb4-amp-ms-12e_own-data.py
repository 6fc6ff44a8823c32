# Mask R-CNN on your own data in COCO's format, from a ViT-S/16 of DoRA or DINO; 12 epochs.
#
# Paper:    none.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_objects PRETRAINED=CHECKPOINT \
#           python tools/train.py \
#           configs/downstream/coco/mask-rcnn_vit-small-p16_dora-wt-pre_1xb4-amp-ms-12e_own-data.py
_base_ = './mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-12e_coco.py'

import os

from mmvidssl.data_checks import read_class_file

# What is yours: set these variables in the environment, or their defaults here in a copy beside
# this file. The folder holds train/, val/ (images), annotations/train.json, annotations/val.json
# and classes.txt: categories of the annotations, one a line, in their order there.
data_root = os.environ.get('DATA_ROOT', 'data/my_objects')
classes = read_class_file(f'{data_root}/classes.txt')
pretrained = os.environ.get('PRETRAINED', 'work_dirs/dora/epoch_100.pth')
# Prefix of the teacher in a training checkpoint; for a published or converted file, 'backbone.';
# for another library's file, none (PREFIX=).
prefix = os.environ.get('PREFIX', 'teacher.backbone.')

model = dict(
    backbone=dict(init_cfg=dict(checkpoint=pretrained, prefix=prefix)),
    roi_head=dict(
        bbox_head=dict(num_classes=len(classes)), mask_head=dict(num_classes=len(classes))
    ),
)

train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'),
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file='annotations/val.json',
        data_prefix=dict(img='val/'),
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}/annotations/val.json')
test_evaluator = val_evaluator

# One GPU has an eighth of the batch: the rate of 1e-4 is scaled by its square root.
optim_wrapper = dict(optimizer=dict(lr=3.5e-5))
auto_scale_lr = dict(enable=False, base_batch_size=4)
param_scheduler = [
    dict(type='mmvidssl.WarmupCosineLR', warmup=500, start_ratio=0.001, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(save_best='coco/segm_mAP', rule='greater'))
