# Something-Something v2 from an MViTv2-S that MaskFeat pretrained on Kinetics-400; 100 epochs.
#
# Paper:    none for this model; its recipe for this data set was not found. Frames, augmentation,
#           schedule are those of mmaction2's supervised MViTv2-S there (whose cosine, over 100
#           epochs after a warm-up of 30, ends here with the training); model, layer decay and
#           clipping are those of MaskFeat for Kinetics. Nothing was tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      GPUS=16 bash tools/slurm_train.sh PARTITION JOB_NAME \
#           configs/downstream/ssv2/mvit-small_maskfeat-k400-pre_16xb16-amp-u16-100e_ssv2.py \
#           WORK_DIR --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Inherited: the files of Something-Something v2 as mmaction2 lists them, top-1 and top-5 accuracy.
_base_ = 'mmaction::recognition/mvit/mvit-small-p244_k400-pre_16xb16-u16-100e_sthv2-rgb.py'
custom_imports = dict(imports=['mmvidssl'], allow_failed_imports=False)

# MaskFeat's checkpoint, or one fine-tuned on Kinetics after it; which of them the paper used was
# not found.
pretrained = 'work_dirs/maskfeat_mvit-small_8xb32-amp-coslr-300e_k400/epoch_300.pth'

model = dict(
    data_preprocessor=dict(mean=[114.75] * 3, std=[57.375] * 3),
    backbone=dict(
        _delete_=True,
        type='mmvidssl.PooledMViT',
        arch='small',
        spatial_size=224,
        temporal_size=16,
        drop_path_rate=0.2,
        dim_mul_in_attention=False,
        with_cp=False,  # 'cheap', True: less memory, the same numbers
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='backbone.'),
    ),
    cls_head=dict(
        in_channels=768,
        num_classes=174,
        with_cls_token=False,
        dropout_ratio=0.5,
        init_scale=0.001,
        label_smooth_eps=0.1,
        average_clips='prob',
    ),
)

# One frame from each of 16 parts of the video; no flip, which would swap left and right.
train_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(type='UniformSample', clip_len=16),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='mmvidssl.ClipRandAugment', magnitude=7, magnitude_std=0.5, num_ops=4),
    dict(type='RandomResizedCrop', area_range=(0.08, 1.0)),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(
        type='RandomErasing',
        erase_prob=0.25,
        mode='rand',
        fill_color=[114.75] * 3,
        fill_std=[57.375] * 3,
    ),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('img_shape', 'filename', 'decode_failures')),
]
val_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(type='UniformSample', clip_len=16, test_mode=True),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(type='UniformSample', clip_len=16, test_mode=True),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 224)),
    dict(type='ThreeCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
# It replaces broken videos in training.
dataset_type = 'mmvidssl.VideoListDataset'
train_dataloader = dict(batch_size=16, dataset=dict(type=dataset_type, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type=dataset_type, pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(type=dataset_type, pipeline=test_pipeline))

optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    constructor='mmvidssl.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
    optimizer=dict(type='AdamW', lr=1.6e-3, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=5, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=256)
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=30,
        max_share=0.3,
        start_ratio=0.1,
        eta_min_ratio=0.01,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=100)

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
