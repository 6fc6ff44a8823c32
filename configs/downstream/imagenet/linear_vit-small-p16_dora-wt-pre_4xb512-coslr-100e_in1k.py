# Linear probe of a ViT-S/16 of DoRA or DINO on ImageNet-1k; 100 epochs.
#
# Paper:    none: a reviewer quotes a rounded number, without saying for which videos. The protocol
#           is DINO's: the normalised class tokens of the last four blocks.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/imagenet/linear_vit-small-p16_dora-wt-pre_4xb512-coslr-100e_in1k.py 4 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_bicubic.py',
    'mmpretrain::_base_/default_runtime.py',
]
custom_imports = dict(imports=['mmvidssl'], allow_failed_imports=False)

# A training checkpoint; for a published file, set the prefix 'backbone.' below.
pretrained = 'work_dirs/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice/epoch_100.pth'

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmvidssl.DINOViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        frozen_stages=12,
        out_indices=[8, 9, 10, 11],
        out_type='cls_token',
        final_norm=True,
        norm_outputs=True,
        concat_outputs=True,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='teacher.backbone.'),
    ),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=4 * 384,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        init_cfg=dict(type='Normal', layer='Linear', std=0.01, bias=0.0),
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop',
        scale=224,
        crop_ratio_range=(0.08, 1.0),
        backend='pillow',
        interpolation='bilinear',
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=512, num_workers=10, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=128, num_workers=10, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# 0.01 for each 256 images; here for 2048.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.08, momentum=0.9, weight_decay=0.0)
)
auto_scale_lr = dict(enable=False, base_batch_size=2048)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True)]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    checkpoint=dict(
        _delete_=True,
        type='mmvidssl.PlainCheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='accuracy/top1',
        rule='greater',
    ),
    schedule=dict(type='mmvidssl.ScheduleHook'),
)
custom_hooks = [
    dict(type='mmvidssl.PretrainedReportHook'),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
