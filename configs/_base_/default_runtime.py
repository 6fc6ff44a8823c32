# What every run shares: logging, checkpoints, randomness, processes.
default_scope = 'mmvidssl'

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='StepParamSchedulerHook'),
    schedule=dict(type='ScheduleHook'),
    # Every epoch, and every half hour where epochs take longer.
    checkpoint=dict(type='PlainCheckpointHook', interval=1, max_keep_ckpts=3, minutes=30),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    step_seed=dict(type='StepSeedHook'),
    # Refuses pretrained files that do not fit their module, such as a teacher.
    pretrained_report=dict(type='PretrainedReportHook'),
    progress=dict(type='ProgressBarHook', terminal_only=True),
    data_failure=dict(type='DataFailureHook', max_failed_share=0.05),
)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # Seconds that processes wait for one whose disk stalls; that one fails after 2 x 120.
    dist_cfg=dict(backend='nccl', timeout=1800),
)

# Add dict(type='TensorboardVisBackend') for TensorBoard.
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends)

log_processor = dict(window_size=50)
log_level = 'INFO'
randomness = dict(seed=0)
load_from = None
resume = False
