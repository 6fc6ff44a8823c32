"""Hooks: they compute a number and hand it over."""

from .plain_checkpoint_hook import PlainCheckpointHook
from .progress_bar_hook import ProgressBarHook
from .step_seed_hook import StepSeedHook
from .teacher_momentum_hook import TeacherMomentumHook
from .teacher_temp_hook import TeacherTempHook

__all__ = [
    'PlainCheckpointHook',
    'ProgressBarHook',
    'StepSeedHook',
    'TeacherMomentumHook',
    'TeacherTempHook',
]
