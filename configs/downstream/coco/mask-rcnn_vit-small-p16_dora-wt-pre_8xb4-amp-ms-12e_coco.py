# Mask R-CNN on COCO, from a ViT-S/16 of DoRA or DINO; 12 epochs (1x).
#
# Paper:    none. The recipe is iBOT's for Cascade Mask R-CNN, with the plain heads of Mask R-CNN.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/coco/mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-12e_coco.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Inherited: the heads of Mask R-CNN, the multi-scale crops of DETR, COCO and its evaluation.
_base_ = 'mmdet::convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py'
custom_imports = dict(imports=['mmvidssl'], allow_failed_imports=False)

# A training checkpoint; for a published file, set the prefix 'backbone.' below.
pretrained = 'work_dirs/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice/epoch_100.pth'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvidssl.DINOViT',
        arch='deit-small',
        img_size=(800, 1008),  # positions are interpolated to it when they are loaded
        patch_size=16,
        drop_path_rate=0.1,
        out_indices=[3, 5, 7, 11],
        out_type='featmap',
        final_norm=False,
        with_cp=False,  # 'cheap', True: less memory, the same numbers
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='teacher.backbone.'),
    ),
    neck=[
        dict(type='mmvidssl.ViTFeature2Pyramid', embed_dim=384, norm_cfg=dict(type='SyncBN')),
        dict(type='FPN', in_channels=[384] * 4, out_channels=256, num_outs=5),
    ],
)

train_dataloader = dict(batch_size=4, num_workers=4)

optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    constructor='mmvidssl.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.8),
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=None,
)
train_cfg = dict(max_epochs=12)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(enable=False, base_batch_size=32)

default_hooks = dict(
    checkpoint=dict(
        _delete_=True, type='mmvidssl.PlainCheckpointHook', interval=1, max_keep_ckpts=2
    ),
    schedule=dict(type='mmvidssl.ScheduleHook'),
)
custom_hooks = [
    dict(type='mmvidssl.PretrainedReportHook'),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
