# AVA 2.2, actions of people in boxes, from an MViTv2-L of MaskFeat; long, large clips; 20 epochs.
#
# Paper:    none: the recipe of the paper's result with this model was not found; see the config of
#           MViTv2-S. Nothing was tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      GPUS=32 bash tools/slurm_train.sh PARTITION JOB_NAME \
#           configs/downstream/ava/mvit-large_maskfeat-k600-pre_32xb2-amp-40x3x1-312px-20e_ava22.py \
#           WORK_DIR --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
_base_ = './mvit-small_maskfeat-k400-pre_8xb8-amp-16x4x1-20e_ava22.py'

pretrained = 'work_dirs/maskfeat_mvit-large_8xb32-amp-coslr-300e_k600/epoch_300.pth'

model = dict(
    # Relative positions are interpolated to the longer and larger clips.
    backbone=dict(
        arch='large',
        spatial_size=312,
        temporal_size=40,
        drop_path_rate=0.2,
        with_cp=True,
        init_cfg=dict(checkpoint=pretrained),
    ),
    roi_head=dict(bbox_head=dict(in_channels=1152)),
)

train_pipeline = [
    dict(type='SampleAVAFrames', clip_len=40, frame_interval=3),
    dict(type='RawFrameDecode'),
    dict(type='RandomRescale', scale_range=(312, 390)),
    dict(type='RandomCrop', size=312),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW', collapse=True),
    dict(type='PackActionInputs'),
]
val_pipeline = [
    dict(type='SampleAVAFrames', clip_len=40, frame_interval=3, test_mode=True),
    dict(type='RawFrameDecode'),
    dict(type='Resize', scale=(-1, 312)),
    dict(type='FormatShape', input_format='NCTHW', collapse=True),
    dict(type='PackActionInputs'),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.875))
