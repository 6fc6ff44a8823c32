# DINO's schedule over 100 epochs, with the released DoRA's numbers.
# The learning rate is for 256 clips a step and is scaled by the real number (GPUs x batch
# size x accumulation).
optim_wrapper = dict(
    type='PerParamClipOptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.04, fused=True),
    clip_grad=dict(max_norm=3.0),
    constructor='DecayGroupsConstructor',
)
auto_scale_lr = dict(base_batch_size=256, enable=True)

# Schedules span the length that train_cfg says.
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=10,  # epochs, at most max_share of the run
        max_share=0.1,
        start_ratio=1e-6,
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    # mmpretrain's leaves groups without weight decay at zero; MMEngine's would not.
    dict(
        type='mmpretrain.CosineAnnealingWeightDecay',
        eta_min=0.4,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(type='ResumableEpochTrainLoop', max_epochs=100)

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
