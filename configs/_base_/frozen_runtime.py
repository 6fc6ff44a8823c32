# Shared by evaluations of a frozen backbone: a test that resumes where it was stopped.
_base_ = 'default_runtime.py'

default_hooks = dict(
    _delete_=True,
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=1000),
    param_scheduler=None,
    checkpoint=None,
    sampler_seed=None,
    pretrained_report=dict(type='PretrainedReportHook'),
)
custom_hooks = [dict(type='DataCheckHook')]
env_cfg = dict(cudnn_benchmark=False)  # frames of many sizes
test_cfg = dict(type='ResumableTestLoop')
