# Kinetics-400 from an MViTv2-S that MaskFeat pretrained there; 100 epochs.
#
# Paper:    82.2 top-1 (10 clips x 1 crop; PySlowFast's table). The recipe is that of the released
#           code (masked_ssl/k400_MVITv2_S_16x4_FT); that of the paper is ...-paper-200e_k400.py.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      GPUS=16 bash tools/slurm_train.sh PARTITION JOB_NAME \
#           configs/downstream/kinetics/mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400.py \
#           WORK_DIR --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Inherited: the files of Kinetics-400 as mmaction2 lists them, top-1 and top-5 accuracy.
_base_ = (
    'mmaction::recognition/mvit/'
    'mvit-small-p244_k400-maskfeat-pre_8xb32-16x4x1-100e_kinetics400-rgb.py'
)
custom_imports = dict(imports=['mmvidssl'], allow_failed_imports=False)

# A training checkpoint or a published file.
pretrained = 'work_dirs/maskfeat_mvit-small_8xb32-amp-coslr-300e_k400/epoch_300.pth'

num_classes = 400
model = dict(
    data_preprocessor=dict(
        mean=[114.75] * 3,
        std=[57.375] * 3,
        blending=dict(
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=num_classes),
                dict(type='CutmixBlending', alpha=1, num_classes=num_classes),
            ]
        ),
    ),
    # The last downscaling, which pretraining leaves out, is added again, and relative positions are
    # interpolated there. The last norm is new, as in the released code.
    backbone=dict(
        _delete_=True,
        type='mmvidssl.PooledMViT',
        arch='small',
        spatial_size=224,
        temporal_size=16,
        drop_path_rate=0.1,
        dim_mul_in_attention=False,
        fresh_norm=True,  # False: keeps that of pretraining
        with_cp=False,  # 'cheap', True: less memory, the same numbers
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='backbone.'),
    ),
    cls_head=dict(
        in_channels=768,
        num_classes=num_classes,
        with_cls_token=False,
        dropout_ratio=0.0,
        init_scale=0.001,
        label_smooth_eps=0.1,
        average_clips='prob',
    ),
)

# Steps that differ between the repeats of a video.
augment = [
    dict(type='mmvidssl.ClipRandAugment', magnitude=7, magnitude_std=0.5, num_ops=2),
    dict(type='RandomResizedCrop', area_range=(0.08, 1.0)),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    dict(
        type='RandomErasing',
        erase_prob=0.25,
        mode='rand',
        # The released code fills the same place of all frames with standard normal noise, drawn
        # anew for each, after normalisation. This does so before it, in whole steps of 0 to 255:
        # black and white cut the noise off at -2 and 2.4 standard deviations, 3 % of it.
        fill_color=[114.75] * 3,
        fill_std=[57.375] * 3,
    ),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('img_shape', 'filename', 'decode_failures')),
]
# As in the released code, a clip spans 64 frames at 30 a second, whatever the video's rate.
# target_fps=None counts the video's own frames.
sampling = dict(
    type='SampleFrames',
    clip_len=16,
    frame_interval=4,
    target_fps=30,
    out_of_bound_opt='repeat_last',
)
decoding = [
    dict(type='mmvidssl.VideoInit'),
    dict(**sampling, num_clips=1),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 256)),
]
# All repeats of a video have the same frames (AUG.NUM_SAMPLE). With mmaction2's RepeatAugDataset,
# SampleFrames would not know the frame rate.
train_pipeline = [
    *decoding,
    dict(type='mmvidssl.RepeatAugment', num_repeats=2, transforms=augment),
]
# The middle 224 of a shorter side of 256 pixels, as the released code has it for a single crop:
# rows from 6 to 94 %. scale=(-1, 224) shows all rows.
val_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(**sampling, num_clips=1, test_mode=True),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(**sampling, num_clips=10, test_mode=True),
    *val_pipeline[2:],
]
train_dataloader = dict(
    batch_size=16,  # videos, each shown num_repeats times
    collate_fn=dict(_delete_=True, type='mmvidssl.flat_collate'),
    dataset=dict(
        _delete_=True,
        type='mmvidssl.VideoListDataset',  # replaces broken videos in training
        _scope_='mmaction',  # also for configs that inherit this one by 'mmvidssl::...'
        ann_file=_base_.ann_file_train,
        data_prefix=dict(video=_base_.data_root),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(dataset=dict(type='mmvidssl.VideoListDataset', pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(type='mmvidssl.VideoListDataset', pipeline=test_pipeline))

# 6e-4 for each 16 videos; here for 256.
optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    constructor='mmvidssl.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
    optimizer=dict(type='AdamW', lr=9.6e-3, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=5, norm_type=2),
)
auto_scale_lr = dict(enable=True, base_batch_size=256)
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=20,
        max_share=0.2,
        start_ratio=1 / 600,
        eta_min_ratio=1 / 600,
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
    dict(type='mmvidssl.PretrainedReportHook', allow_new=['norm3.*']),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.DataFailureHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
