"""Hooks: schedules, checkpoints, monitoring, and checks of data and weights."""

from .collapse_hook import CollapseHook
from .data_check_hook import DataCheckHook
from .data_failure_hook import BrokenDataError, DataFailureHook
from .freeze_last_layer_hook import FreezeLastLayerHook
from .health_hook import HealthHook
from .monitor_hooks import KNNMonitorHook, LinearProbeHook, MonitorHook, VOSMonitorHook
from .nan_guard_hook import NaNGuardHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .pretrained_report_hook import PretrainedReportHook
from .progress_bar_hook import ProgressBarHook
from .schedule_hook import ScheduleHook
from .step_param_scheduler_hook import StepParamSchedulerHook
from .step_seed_hook import StepSeedHook
from .teacher_momentum_hook import TeacherMomentumHook
from .teacher_temp_hook import TeacherTempHook
from .time_limit_hook import TimeLimitHook

__all__ = [
    'BrokenDataError',
    'CollapseHook',
    'DataCheckHook',
    'DataFailureHook',
    'FreezeLastLayerHook',
    'HealthHook',
    'KNNMonitorHook',
    'LinearProbeHook',
    'MonitorHook',
    'NaNGuardHook',
    'PlainCheckpointHook',
    'PretrainedReportHook',
    'ProgressBarHook',
    'ScheduleHook',
    'StepParamSchedulerHook',
    'StepSeedHook',
    'TeacherMomentumHook',
    'TeacherTempHook',
    'TimeLimitHook',
    'VOSMonitorHook',
]
