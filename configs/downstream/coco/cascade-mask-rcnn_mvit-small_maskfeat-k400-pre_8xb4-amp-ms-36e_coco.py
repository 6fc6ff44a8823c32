# Cascade Mask R-CNN on COCO, from an MViTv2-S that MaskFeat pretrained on videos; 36 epochs (3x).
#
# Paper:    none: neither MaskFeat nor MViTv2 evaluates a video model on COCO. The recipe is iBOT's
#           for a ViT-S/16, the pyramid MViTv2's; nothing was tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/coco/cascade-mask-rcnn_mvit-small_maskfeat-k400-pre_8xb4-amp-ms-36e_coco.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
_base_ = (
    'mmdet::convnext/cascade-mask-rcnn_convnext-t-p4-w7_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py'
)
custom_imports = dict(imports=['mmvidssl'], allow_failed_imports=False)

# A training checkpoint or a published file.
pretrained = 'work_dirs/maskfeat_mvit-small_8xb32-amp-coslr-300e_k400/epoch_300.pth'

model = dict(
    # The normalisation of MaskFeat's pretraining.
    data_preprocessor=dict(mean=[114.75] * 3, std=[57.375] * 3),
    backbone=dict(
        _delete_=True,
        type='mmvidssl.ImageMViT',
        arch='small',
        out_scales=[0, 1, 2, 3],
        drop_path_rate=0.1,
        dim_mul_in_attention=False,
        with_cp=False,  # 'cheap', True: less memory, the same numbers
        # Size of pretraining clips, which sets the lengths of relative positions.
        spatial_size=224,
        temporal_size=16,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='backbone.'),
    ),
    # The block before a doubling of the width already outputs the doubled width.
    neck=dict(type='FPN', in_channels=[192, 384, 768, 768], out_channels=256, num_outs=5),
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
train_cfg = dict(max_epochs=36)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=36, milestones=[27, 33], gamma=0.1),
]
auto_scale_lr = dict(enable=False, base_batch_size=32)

default_hooks = dict(
    checkpoint=dict(
        _delete_=True, type='mmvidssl.PlainCheckpointHook', interval=1, max_keep_ckpts=2
    ),
    schedule=dict(type='mmvidssl.ScheduleHook'),
)
# MaskFeat's checkpoint has only the last of the four norms.
custom_hooks = [
    dict(type='mmvidssl.PretrainedReportHook', allow_new=['norm0.*', 'norm1.*', 'norm2.*']),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
