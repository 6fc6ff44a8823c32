# A classifier of your own images, from a ViT-S/16 of DoRA or DINO; 50 epochs.
#
# Paper:    none.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_images PRETRAINED=CHECKPOINT \
#           python tools/train.py \
#           configs/downstream/imagenet/vit-small-p16_dora-wt-pre_1xb64-amp-coslr-50e_own-data.py
#
# Recipe:   that of MaskFeat's ViT-B on ImageNet-1k, shortened; nothing was tuned.
_base_ = './vit-base-p16_maskfeat-in1k-pre_8xb256-amp-coslr-100e_in1k.py'

import os

from mmvidssl.data_checks import find_class_folders

# What is yours: set these variables in the environment, or their defaults here in a copy beside
# this file. The folder holds train/ and val/, each with a folder of images for each class.
data_root = os.environ.get('DATA_ROOT', 'data/my_images')
classes = find_class_folders(f'{data_root}/train')
pretrained = os.environ.get('PRETRAINED', 'work_dirs/dora/epoch_100.pth')
# Prefix of the teacher in a training checkpoint; for a published or converted file, 'backbone.';
# for another library's file, none (PREFIX=).
prefix = os.environ.get('PREFIX', 'teacher.backbone.')

num_classes = len(classes)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvidssl.DINOViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        out_type='cls_token',
        final_norm=True,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix=prefix),
    ),
    head=dict(num_classes=num_classes, in_channels=384),
)
data_preprocessor = dict(num_classes=num_classes)

dataset = dict(
    _delete_=True,
    type='CustomDataset',
    _scope_='mmpretrain',  # also for configs that inherit this one by 'mmvidssl::...'
    data_root=data_root,
    metainfo=dict(classes=classes),
)
held_out = dict(dataset, data_prefix='val', pipeline=_base_.test_pipeline, test_mode=True)
train_dataloader = dict(
    batch_size=64, dataset=dict(dataset, data_prefix='train', pipeline=_base_.train_pipeline)
)
val_dataloader = dict(dataset=held_out)
test_dataloader = dict(dataset=held_out)
val_evaluator = dict(topk=(1, min(5, num_classes)))
test_evaluator = val_evaluator

# 2e-3 for each 512 images; here for 64. Few images make smaller batches and few steps, for which
# the scaled rate would be too small (min_lr).
default_hooks = dict(schedule=dict(min_lr=5e-4))
optim_wrapper = dict(optimizer=dict(lr=2.5e-4))
auto_scale_lr = dict(enable=True, base_batch_size=64)
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=5,
        max_share=0.1,
        start_ratio=5e-6,
        eta_min_ratio=5e-4,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=50)
custom_hooks = [
    dict(type='mmvidssl.PretrainedReportHook'),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
