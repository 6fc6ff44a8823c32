# A classifier of your own videos, from an MViTv2-S of MaskFeat; 50 epochs.
#
# Paper:    none.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_videos PRETRAINED=CHECKPOINT \
#           python tools/train.py \
#           configs/downstream/kinetics/mvit-small_maskfeat-k400-pre_1xb8-amp-16x4x1-50e_own-data.py
_base_ = './mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400.py'

import os

from mmvidssl.data_checks import read_class_file

# What is yours: set these variables in the environment, or their defaults here in a copy beside
# this file. The folder holds the videos and three lists, which tools/datasets/list_videos.py
# writes: classes.txt, a class a line; train.txt and val.txt, the path of a video in the folder, a
# space, and the line of its class in classes.txt, from 0.
data_root = os.environ.get('DATA_ROOT', 'data/my_videos')
classes = read_class_file(f'{data_root}/classes.txt')
pretrained = os.environ.get('PRETRAINED', 'work_dirs/maskfeat/epoch_300.pth')

num_classes = len(classes)
model = dict(
    data_preprocessor=dict(
        blending=dict(
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=num_classes),
                dict(type='CutmixBlending', alpha=1, num_classes=num_classes),
            ]
        )
    ),
    backbone=dict(init_cfg=dict(checkpoint=pretrained)),
    cls_head=dict(num_classes=num_classes, topk=(1, min(5, num_classes))),
)

# mmaction2's VideoDataset cannot read paths with spaces, nor a list with a byte order mark.
dataset = dict(
    _delete_=True,
    type='mmvidssl.VideoListDataset',
    _scope_='mmaction',  # for the pipeline, also in configs that inherit by 'mmvidssl::...'
    data_root=data_root,
    data_prefix=dict(video=''),  # paths in the lists begin there
    metainfo=dict(classes=classes),
)
held_out = dict(dataset, ann_file='val.txt', test_mode=True)
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(dataset, ann_file='train.txt', pipeline=_base_.train_pipeline),
)
val_dataloader = dict(num_workers=4, dataset=dict(held_out, pipeline=_base_.val_pipeline))
test_dataloader = dict(num_workers=4, dataset=dict(held_out, pipeline=_base_.test_pipeline))

# The released code has 6e-4 for 16 videos, scaled by the batch: here 8.
optim_wrapper = dict(optimizer=dict(lr=3e-4))
auto_scale_lr = dict(enable=True, base_batch_size=8)
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=5,
        max_share=0.1,
        start_ratio=1 / 600,
        eta_min_ratio=1 / 600,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=50)
