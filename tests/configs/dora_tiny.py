# DoRA small enough for a test: 2 epochs of 4 iterations. The tests fill in the video.
_base_ = [
    '../../configs/_base_/models/dora_vit-small-p16.py',
    '../../configs/_base_/schedules/dino_adamw_coslr_100e.py',
    '../../configs/_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=24, num_layers=2, num_heads=4, feedforward_channels=48),
        img_size=32,
        patch_size=8,
        drop_path_rate=0.0,
    ),
    neck=dict(in_channels=24, num_prototypes=16, hidden_channels=32, bottleneck_channels=8),
    tracker=dict(num_objects=2),
    target_generator=dict(num_prototypes=16),
)

train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='ClipSampler', num_samples_per_epoch=8),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='LongVideoDataset',
        videos=['video.mp4'],
        clip_len=2,
        frame_interval=2,
        interval_unit='frames',
        pipeline=[
            dict(type='DecodeClip'),
            dict(
                type='ClipMultiCrop',
                num_global_views=1,
                num_local_views=2,
                global_transforms=[
                    dict(type='ClipRandomResizedCrop', size=32, scale=(0.4, 1.0)),
                    dict(type='ClipRandomFlip', prob=0.5),
                ],
                local_transforms=[
                    dict(type='ClipRandomResizedCrop', size=16, scale=(0.05, 0.4)),
                    dict(type='ClipRandomFlip', prob=0.5),
                ],
            ),
            dict(type='PackClipInputs'),
        ],
    ),
)

optim_wrapper = dict(optimizer=dict(lr=0.128))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(warmup=1, max_share=0.5, start_ratio=0.1)
train_cfg = dict(max_epochs=2)

default_hooks = dict(logger=dict(interval=1))
# Without those for health, collapse and NaNs, whose tests add their own.
custom_hooks = [
    dict(type='TeacherMomentumHook', momentum=0.004, end_momentum=0.0),
    dict(
        type='TeacherTempHook',
        warmup_teacher_temp=0.04,
        teacher_temp=0.04,
        warmup_epochs=0,
    ),
    dict(type='FreezeLastLayerHook', num_epochs=1, max_share=0.5),
]
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='gloo'))
