# MaskFeat's schedule over 300 epochs of videos, with the released code's numbers.
# The learning rate is for 512 clips a step and is scaled by the real number (GPUs x batch size).
# It starts and ends at a hundredth of its peak: the released 1e-6 of 1e-4, which are for 32 clips
# and are scaled together there too.
max_epochs = 300

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1.6e-3, betas=(0.9, 0.999), weight_decay=0.05),
    # Of all gradients together.
    clip_grad=dict(max_norm=0.02),
    # Biases and norms do not decay; tokens and positions do.
    constructor='DecayGroupsConstructor',
)
auto_scale_lr = dict(base_batch_size=512, enable=True)

param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.01,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=0.01,
        by_epoch=True,
        begin=10,
        end=max_epochs,
        T_max=max_epochs - 10,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(type='ResumableEpochTrainLoop', max_epochs=max_epochs)

custom_hooks = [
    dict(type='HealthHook', interval=10),
    # Ten epochs of warm-up on Kinetics-400, 938 steps of 256 clips each, and some.
    dict(type='CollapseHook', action='warn', grace=10000),
    dict(type='NaNGuardHook'),
]
