# Depth on NYUv2 by a linear layer on four blocks of a frozen ViT-S/16 of DoRA or DINO.
#
# Paper:    none: no depth protocol of DoRA, DINO or iBOT was found. This one is DINOv2's ("lin. 4")
#           as far as mmseg has the parts; README.md lists what differs.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/nyuv2/linear_vit-small-p16_dora-wt-pre_8xb2-amp-38k_nyuv2-416x544.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Inherited: the NYUv2 data and metric of mmseg (depths up to 10 m, Eigen's crop).
_base_ = ['mmseg::_base_/datasets/nyu.py', 'mmseg::_base_/default_runtime.py']
custom_imports = dict(imports=['mmvidssl'], allow_failed_imports=False)

# A training checkpoint; for a published file, set the prefix 'backbone.' below.
pretrained = 'work_dirs/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice/epoch_100.pth'

crop_size = (416, 544)
image_size = (480, 640)
model = dict(
    type='DepthEstimator',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=crop_size,
        pad_val=0,
        seg_pad_val=0,  # depth 0: unknown
    ),
    backbone=dict(
        type='mmvidssl.DINOViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.0,
        out_indices=[2, 5, 8, 11],
        out_type='featmap_and_cls',
        final_norm=True,
        norm_outputs=True,
        concat_outputs=True,
        pad_frames=True,
        frozen_stages=12,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='teacher.backbone.'),
    ),
    decode_head=dict(
        type='mmvidssl.LinearDepthHead',
        in_channels=4 * 2 * 384,  # blocks, patch and class token, width
        num_bins=256,
        min_depth=0.001,
        max_depth=10.0,
        upsample=4,
        loss_decode=dict(type='mmseg.SiLogLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    # The whole image at once; the mean over it and its mirror image.
    test_cfg=dict(mode='slide_flip', crop_size=image_size, stride=image_size),
)

meta_keys = (
    'img_path',
    'depth_map_path',
    'ori_shape',
    'img_shape',
    'pad_shape',
    'scale_factor',
    'flip',
    'flip_direction',
    'category_id',
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthAnnotation', depth_rescale_factor=1e-3),
    dict(type='RandomRotate', prob=0.5, degree=2.5, pad_val=0, seg_pad_val=0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
train_dataloader = dict(batch_size=2, num_workers=4, dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=12800,
        max_share=0.34,
        start_ratio=1e-3,
        by_epoch=False,
    )
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=38400, val_interval=3840)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    schedule=dict(type='mmvidssl.ScheduleHook'),
    checkpoint=dict(
        type='mmvidssl.PlainCheckpointHook',
        by_epoch=False,
        interval=3840,
        max_keep_ckpts=2,
        save_best='rmse',
        rule='less',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
custom_hooks = [
    dict(type='mmvidssl.PretrainedReportHook'),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
