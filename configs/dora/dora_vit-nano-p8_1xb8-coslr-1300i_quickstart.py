# DoRA small enough to watch on one CPU core: what tools/quickstart.sh trains.
#
# Paper:    none; a demonstration.
# Measured: docs/en/reference/quickstart.md
# Run:      bash tools/quickstart.sh
_base_ = [
    '../_base_/models/dora_vit-small-p16.py',
    '../_base_/datasets/quickstart_video.py',
    '../_base_/schedules/dino_adamw_coslr_100e.py',
    '../_base_/default_runtime.py',
]

# Two narrow blocks, small batches of many small views: on one core, more iterations a second help
# more than larger ones. So short a run learns only from targets that are stable (the teacher sees
# nearly all of a clip, in its own colours), that differ between clips (each is cropped to a part
# of the frame, so that clips of one scene differ too; few prototypes, used equally often), that
# the student's views can predict (they lie within that part), and from objects that differ (a
# small epsilon).
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=128, num_layers=2, num_heads=4, feedforward_channels=512
        ),
        img_size=64,
        patch_size=8,
        drop_path_rate=0.0,
        with_cp=False,
    ),
    neck=dict(
        in_channels=128,
        num_prototypes=128,
        hidden_channels=512,
        bottleneck_channels=64,
        norm_last_layer=True,
    ),
    tracker=dict(num_objects=3, epsilon=0.005),
    target_generator=dict(num_prototypes=128, teacher_temp=0.02, centering='sinkhorn_knopp'),
)

train_pipeline = [
    dict(type='DecodeClip', short_side=None),
    dict(type='ClipRandomResizedCrop', size=112, scale=(0.1, 0.6)),
    dict(
        type='ClipMultiCrop',
        num_global_views=1,
        num_local_views=4,
        global_transforms=[
            dict(type='ClipRandomResizedCrop', size=64, scale=(0.8, 1.0)),
            dict(type='ClipRandomFlip', prob=0.5),
        ],
        local_transforms=[
            dict(type='ClipRandomResizedCrop', size=32, scale=(0.1, 0.5), per_frame=True),
            dict(type='ClipRandomFlip', prob=0.5, per_frame=True),
            dict(
                type='ClipColorJitter',
                brightness=0.6,
                contrast=0.6,
                saturation=0.6,
                hue=0.3,
                prob=1.0,
            ),
            dict(type='ClipRandomGrayscale', prob=0.2),
        ],
    ),
    dict(type='PackClipInputs'),
]

train_dataloader = dict(
    dataset=dict(clip_len=2, frame_interval=0.5, pipeline=train_pipeline),
)

optim_wrapper = dict(optimizer=dict(lr=5e-4))
auto_scale_lr = dict(enable=False)
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=130,
        max_share=0.1,
        start_ratio=1e-3,
        eta_min=1e-5,
        by_epoch=False,
    ),
    dict(type='mmpretrain.CosineAnnealingWeightDecay', eta_min=0.4, by_epoch=False),
]
custom_hooks = [
    # With DINO's 0.004, the teacher would stay close to its random weights in so short a run.
    dict(type='TeacherMomentumHook', momentum=0.02, end_momentum=0.02),
    dict(
        type='TeacherTempHook',
        warmup_teacher_temp=0.02,
        teacher_temp=0.02,
        warmup_epochs=0,
        by_epoch=False,
    ),
    dict(type='HealthHook', interval=1),
    dict(type='CollapseHook', action='warn', grace=100),
    dict(type='NaNGuardHook'),
]
train_cfg = dict(_delete_=True, type='ResumableIterTrainLoop', max_iters=1300)

default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(by_epoch=False, interval=325, max_keep_ckpts=4),
)
# The teacher's entropy is averaged over the same iterations as the loss, to be subtracted from it.
log_processor = dict(
    window_size=10,
    by_epoch=False,
    custom_cfg=[dict(data_src='teacher_entropy', method_name='mean', window_size=10)],
)
