# Linear probe of a ViT-S/16 of DoRA or DINO on your own videos: the mean class token of 8 frames.
#
# Paper:    none: DoRA was not evaluated there. Optimizer and rates are those of DINO's linear probe of
#           images, crops and frames those of fine-tuning; nothing was tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_videos PRETRAINED=CHECKPOINT \
#           python tools/train.py \
#           configs/downstream/kinetics/linear_vit-small-p16_dora-wt-pre_1xb32-amp-1x1x8-20e_own-data.py
_base_ = './vit-small-p16_dora-wt-pre_8xb32-amp-1x1x8-50e_k400.py'

import os

from mmvidssl.data_checks import read_class_file

# What is yours: set these variables in the environment, or their defaults here in a copy beside
# this file. The folder holds the videos and three lists, which tools/datasets/list_videos.py
# writes from a folder of videos for each class.
data_root = os.environ.get('DATA_ROOT', 'data/my_videos')
classes = read_class_file(f'{data_root}/classes.txt')
pretrained = os.environ.get('PRETRAINED', 'work_dirs/dora/epoch_100.pth')
# Prefix of the teacher in a training checkpoint; for a published or converted file, 'backbone.'.
prefix = os.environ.get('PREFIX', 'teacher.backbone.')

num_classes = len(classes)
model = dict(
    data_preprocessor=dict(blending=None),
    backbone=dict(
        frozen_stages=12,
        drop_path_rate=0.0,
        init_cfg=dict(checkpoint=pretrained, prefix=prefix),
    ),
    cls_head=dict(num_classes=num_classes, topk=(1, min(5, num_classes)), label_smooth_eps=0.0),
)

dataset = dict(
    _delete_=True,
    type='mmvidssl.VideoListDataset',
    _scope_='mmaction',
    data_root=data_root,
    data_prefix=dict(video=''),
    metainfo=dict(classes=classes),
)
held_out = dict(dataset, ann_file='val.txt', test_mode=True)
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(dataset, ann_file='train.txt', pipeline=_base_.train_pipeline),
)
val_dataloader = dict(num_workers=4, dataset=dict(held_out, pipeline=_base_.val_pipeline))
test_dataloader = dict(num_workers=4, dataset=dict(held_out, pipeline=_base_.test_pipeline))

# DINO's rate for 256 images; a batch is of 256 frames.
optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0),
)
auto_scale_lr = dict(enable=True, base_batch_size=32)
param_scheduler = [dict(type='mmvidssl.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=20)
