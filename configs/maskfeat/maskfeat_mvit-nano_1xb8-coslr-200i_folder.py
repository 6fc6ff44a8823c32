# MaskFeat small enough for two CPU cores and a few minutes: does everything work, and does the loss
# fall, on a folder of videos?
#
# Paper:    none; a smoke test. It is far too short to learn features from.
# Measured: not measured by us.
# Run:      python tools/train.py configs/maskfeat/maskfeat_mvit-nano_1xb8-coslr-200i_folder.py \
#           --cfg-options train_dataloader.dataset.data_root=data/videos
_base_ = [
    '../_base_/models/maskfeat_mvit-small.py',
    '../_base_/datasets/video_folder_maskfeat.py',
    '../_base_/schedules/maskfeat_adamw_coslr_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=32,
            num_layers=6,
            num_heads=1,
            downscale_indices=[1, 3],
            dim_mul_indices=[1, 3],
        ),
        spatial_size=64,
        temporal_size=8,
        adaptive_kv_stride=(1, 4, 4),
    ),
    neck=dict(in_channels=128),
)

# Videos of a second and more; tokens are 4 x 4 x 4.
train_pipeline = [
    dict(type='SampleClip', clip_len=8, frame_interval=2, short_side=128),
    dict(type='ClipRandomResizedCrop', size=64, scale=(0.5, 1.0)),
    dict(type='ClipRandomFlip', prob=0.5),
    dict(
        type='CubeMask',
        mask_window=(4, 4, 4),
        mask_ratio=0.4,
        min_num_patches=3,
        max_num_patches=16,
    ),
    dict(type='PackClipInputs'),
]
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(enable=False)
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=20,
        max_share=0.1,
        start_ratio=0.01,
        eta_min_ratio=0.01,
        by_epoch=False,
    )
]
custom_hooks = _base_.custom_hooks
custom_hooks[1].update(grace=100)
train_cfg = dict(_delete_=True, type='ResumableIterTrainLoop', max_iters=200)

default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1),
)
log_processor = dict(window_size=10, by_epoch=False)
