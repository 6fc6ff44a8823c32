# ImageNet-1k from a ViT-B/16 that MaskFeat pretrained there; 100 epochs.
#
# Paper:    84.0 top-1 after 1600 epochs of pretraining (PySlowFast's table).
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/imagenet/vit-base-p16_maskfeat-in1k-pre_8xb256-amp-coslr-100e_in1k.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Recipe:   PySlowFast's masked_ssl/in1k_VIT_B_MaskFeat_FT.
# Inherited: ImageNet-1k; crops, RandAugment (magnitude 9) and random erasing; mixup and cutmix.
_base_ = 'mmpretrain::maskfeat/benchmarks/vit-base-p16_8xb256-coslr-100e_in1k.py'
custom_imports = dict(imports=['mmvidssl'], allow_failed_imports=False)

# A training checkpoint or a published file.
pretrained = 'work_dirs/maskfeat_vit-base-p16_8xb256-amp-coslr-1600e_in1k/epoch_1600.pth'

model = dict(
    # The mean of the patches, then a norm that is new, as is the classifier.
    backbone=dict(
        arch='base',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        out_type='avg_featmap',
        final_norm=False,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='backbone.'),
    ),
    head=dict(num_classes=1000, in_channels=768),
)
# The released code has colour jitter only where there is no RandAugment (COLOR_JITTER: 0.4 in its
# file does nothing), and cubic interpolation in tests.
train_pipeline = [step for step in _base_.train_pipeline if step['type'] != 'ColorJitter']
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

# 2e-3 for each 512 images; here for 2048.
optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    constructor='mmvidssl.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.65),
    optimizer=dict(type='AdamW', lr=8e-3, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=None,
)
auto_scale_lr = dict(enable=False, base_batch_size=2048)
# Ends at a share of each layer's rate; mmpretrain's schedule ends all layers at 1e-6.
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=20,
        max_share=0.2,
        start_ratio=5e-6,
        eta_min_ratio=5e-4,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
# mmpretrain's base states its loop twice, and would not start.
train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=100, val_interval=1)

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
    dict(type='mmvidssl.PretrainedReportHook', allow_new=['ln2.*']),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
