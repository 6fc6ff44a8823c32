# Something-Something v2 from an MViTv2-L that MaskFeat pretrained on Kinetics-600; 100 epochs.
#
# Paper:    none: the recipe of the paper's result with this model was not found. This is that of
#           mmaction2's supervised MViTv2-L there (mixup and cutmix with the right number of
#           classes), with layer decay and clipping as MaskFeat has them for Kinetics. Nothing was
#           tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      GPUS=32 bash tools/slurm_train.sh PARTITION JOB_NAME \
#           configs/downstream/ssv2/mvit-large_maskfeat-k600-pre_32xb2-amp-u40-312px-100e_ssv2.py \
#           WORK_DIR --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
_base_ = './mvit-small_maskfeat-k400-pre_16xb16-amp-u16-100e_ssv2.py'

pretrained = 'work_dirs/maskfeat_mvit-large_8xb32-amp-coslr-300e_k600/epoch_300.pth'

model = dict(
    data_preprocessor=dict(
        blending=dict(
            type='RandomBatchAugment',
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=174),
                dict(type='CutmixBlending', alpha=1, num_classes=174),
            ],
        )
    ),
    # Relative positions are interpolated to the longer and larger clips.
    backbone=dict(
        arch='large',
        spatial_size=312,
        temporal_size=40,
        drop_path_rate=0.75,
        with_cp=True,
        init_cfg=dict(checkpoint=pretrained),
    ),
    cls_head=dict(in_channels=1152),
    test_cfg=dict(max_testing_views=1),
)

train_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(type='UniformSample', clip_len=40),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 356)),
    dict(type='mmvidssl.ClipRandAugment', magnitude=7, magnitude_std=0.5, num_ops=4),
    dict(type='RandomResizedCrop', area_range=(0.08, 1.0)),
    dict(type='Resize', scale=(312, 312), keep_ratio=False),
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
    dict(type='UniformSample', clip_len=40, test_mode=True),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 312)),
    dict(type='CenterCrop', crop_size=312),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='mmvidssl.VideoInit'),
    dict(type='UniformSample', clip_len=40, test_mode=True),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 312)),
    dict(type='ThreeCrop', crop_size=312),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(batch_size=1, dataset=dict(pipeline=test_pipeline))

# 1.6e-3 for 256 videos; here for 64.
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.875), optimizer=dict(lr=4e-4))
auto_scale_lr = dict(enable=False, base_batch_size=64)
