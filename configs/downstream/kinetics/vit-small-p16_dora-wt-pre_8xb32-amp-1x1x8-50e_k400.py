# Kinetics-400 from a ViT-S/16 of DoRA or DINO: the mean class token of 8 frames; 50 epochs.
#
# Paper:    none: DoRA was not evaluated there. Model and frames are those of mmaction2's TSN; the
#           recipe is MaskFeat's for Kinetics, shortened, with a smaller rate; nothing was tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/kinetics/vit-small-p16_dora-wt-pre_8xb32-amp-1x1x8-50e_k400.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Inherited: the files of Kinetics-400 as mmaction2 lists them, top-1 and top-5 accuracy.
_base_ = 'mmaction::recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb.py'
custom_imports = dict(imports=['mmpretrain.models', 'mmvidssl'], allow_failed_imports=False)

# A training checkpoint; for a published file, set the prefix 'backbone.' below.
pretrained = 'work_dirs/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice/epoch_100.pth'

num_classes = 400
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        blending=dict(
            type='RandomBatchAugment',
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=num_classes),
                dict(type='CutmixBlending', alpha=1, num_classes=num_classes),
            ],
        ),
    ),
    # Loads the weights of a DINOViT; mmaction2 unpacks outputs of mmpretrain's own backbones only.
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        out_type='cls_token',
        final_norm=True,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='teacher.backbone.'),
    ),
    cls_head=dict(
        in_channels=384,
        num_classes=num_classes,
        spatial_type=None,  # a class token needs no spatial pooling
        dropout_ratio=0.0,
        init_std=0.01,
        label_smooth_eps=0.1,
        average_clips='prob',
    ),
)

train_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=8),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='mmvidssl.ClipRandAugment', magnitude=7, magnitude_std=0.5, num_ops=2),
    dict(type='RandomResizedCrop', area_range=(0.08, 1.0)),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    dict(
        type='RandomErasing',
        erase_prob=0.25,
        mode='rand',
        fill_color=[123.675, 116.28, 103.53],
        fill_std=[58.395, 57.12, 57.375],
    ),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs', meta_keys=('img_shape', 'filename', 'decode_failures')),
]
val_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=8, test_mode=True),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=8, test_mode=True),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 224)),
    dict(type='ThreeCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs'),
]
# It replaces broken videos in training.
dataset_type = 'mmvidssl.VideoListDataset'
train_dataloader = dict(batch_size=32, dataset=dict(type=dataset_type, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type=dataset_type, pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(type=dataset_type, pipeline=test_pipeline))

optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    constructor='mmvidssl.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=5, norm_type=2),
)
auto_scale_lr = dict(enable=True, base_batch_size=256)
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=5,
        max_share=0.1,
        start_ratio=1 / 1000,
        eta_min_ratio=1 / 1000,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=50)

default_hooks = dict(
    checkpoint=dict(
        _delete_=True,
        type='mmvidssl.PlainCheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='acc/top1',
        rule='greater',
    ),
    schedule=dict(type='mmvidssl.ScheduleHook'),
)
custom_hooks = [
    dict(type='mmvidssl.PretrainedReportHook'),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.DataFailureHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
