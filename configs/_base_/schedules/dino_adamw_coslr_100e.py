# DINO's schedule over 100 epochs, with the released DoRA's numbers.
# The learning rate is for 256 clips a step and is scaled by the real number (GPUs x batch size).
max_epochs = 100

optim_wrapper = dict(
    type='PerParamClipOptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.04),
    clip_grad=dict(max_norm=3.0),
    constructor='DecayGroupsConstructor',
)
auto_scale_lr = dict(base_batch_size=256, enable=True)

param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-6,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-5,
        by_epoch=True,
        begin=10,
        end=max_epochs,
        T_max=max_epochs - 10,
        convert_to_iter_based=True,
    ),
    # mmpretrain's leaves groups without weight decay at zero, MMEngine's does not.
    dict(
        type='mmpretrain.CosineAnnealingWeightDecay',
        eta_min=0.4,
        by_epoch=True,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(type='ResumableEpochTrainLoop', max_epochs=max_epochs)

custom_hooks = [
    dict(type='TeacherMomentumHook', momentum=0.004, end_momentum=0.0),
    dict(
        type='TeacherTempHook',
        warmup_teacher_temp=0.04,
        teacher_temp=0.04,
        warmup_epochs=0,
    ),
    dict(type='FreezeLastLayerHook', num_epochs=1),
    dict(type='HealthHook', interval=10),
    dict(type='CollapseHook', action='warn', grace=3000),
    dict(type='NaNGuardHook'),
]
