# MaskFeat's schedule over 300 epochs of videos, with the released code's numbers.
# The learning rate is for 512 clips a step and is scaled by the real number (GPUs x batch
# size x accumulation).
# It starts and ends at a hundredth of its peak: the released 1e-6 and 1e-4, which are for 32 clips,
# and scaled together there too.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1.6e-3, betas=(0.9, 0.999), weight_decay=0.05, fused=True),
    # The norm of all gradients together.
    clip_grad=dict(max_norm=0.02),
    # Biases and norms do not decay; tokens and positions do.
    constructor='DecayGroupsConstructor',
)
auto_scale_lr = dict(base_batch_size=512, enable=True)

# The schedule spans the length that train_cfg says.
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=10,  # epochs, at most max_share of the run
        max_share=0.1,
        start_ratio=0.01,
        eta_min_ratio=0.01,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]

train_cfg = dict(type='ResumableEpochTrainLoop', max_epochs=300)

custom_hooks = [
    dict(type='HealthHook', interval=10),
    # Ten epochs of warm-up on Kinetics-400 (938 steps of 256 clips each), and some more steps.
    dict(type='CollapseHook', action='warn', grace=10000),
    dict(type='NaNGuardHook'),
]
