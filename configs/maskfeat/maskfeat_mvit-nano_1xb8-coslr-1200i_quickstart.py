# MaskFeat small enough to watch on one CPU core: what tools/quickstart.sh trains.
#
# Paper:    none; a demonstration.
# Measured: seeds 10 to 12 on bikes.mp4, explained in masked places: -118 to -106 % before training,
#           30 to 32 % after; docs/en/reference/quickstart.md. 2.0 to 2.1 minutes of processor
#           time in all.
# Run:      bash tools/quickstart.sh --method maskfeat
_base_ = [
    '../_base_/models/maskfeat_mvit-small.py',
    '../_base_/datasets/quickstart_video.py',
    '../_base_/schedules/maskfeat_adamw_coslr_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    # Powers of two, with which flat areas have no gradient: otherwise rounding errors in them are
    # normalised to histograms of length one, which nothing can predict.
    data_preprocessor=dict(mean=[128.0] * 3, std=[64.0] * 3),
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=32,
            num_layers=4,
            num_heads=1,
            downscale_indices=[1],
            dim_mul_indices=[1],
        ),
        spatial_size=64,
        temporal_size=4,
        # Matrices of 0.02, which suit 768 channels, would leave 32 with next to no signal.
        init_cfg=[
            dict(type='Xavier', layer='Linear', distribution='uniform'),
            dict(type='TruncNormal', layer='Conv3d', std=0.02),
            dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
        ],
    ),
    neck=dict(in_channels=64),
    # A token covers 2 x 8 x 8 pixels; cells of 8 would blur what is in them.
    target_generator=dict(cell_size=4, patch_size=8),
)

train_pipeline = [
    dict(type='DecodeClip', short_side=None),
    dict(type='ClipRandomResizedCrop', size=64, scale=(0.5, 1.0)),
    dict(type='ClipRandomFlip', prob=0.5),
    dict(
        type='CubeMask',
        mask_window=(2, 4, 4),
        mask_ratio=0.4,
        min_num_patches=1,
        max_num_patches=16,
    ),
    dict(type='PackClipInputs'),
]

train_dataloader = dict(
    dataset=dict(clip_len=4, frame_interval=0.1, pipeline=train_pipeline),
)

optim_wrapper = dict(
    optimizer=dict(lr=5e-3, betas=(0.9, 0.95)),
    clip_grad=dict(max_norm=1.0),
)
auto_scale_lr = dict(enable=False)
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=120,
        max_share=0.1,
        start_ratio=0.01,
        eta_min_ratio=0.01,
        by_epoch=False,
    )
]
custom_hooks = _base_.custom_hooks
custom_hooks[1].update(grace=100)
train_cfg = dict(_delete_=True, type='ResumableIterTrainLoop', max_iters=1200)

default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(by_epoch=False, interval=300, max_keep_ckpts=4),
)
log_processor = dict(window_size=10, by_epoch=False)
