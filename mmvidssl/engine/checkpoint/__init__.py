"""Checkpoints: read as plain data, written atomically, checked against the model."""

from .coverage import Coverage, find_coverage
from .files import (
    AtomicBackend,
    UnsafeCheckpointError,
    pack_message_hub,
    read_content,
    read_plain,
    read_weights,
    to_plain,
    unpack_message_hub,
)
from .matching import Start, check_loaded, drop_sources, examine, examine_all, examine_start
from .report import Source, report
from .resume import (
    INTERIM,
    LAST_CHECKPOINT,
    check_checkpoint_fits,
    collect_gradients,
    find_resumable,
    restart_schedules,
    restore_gradients,
    schedules_differ,
)

__all__ = [
    'INTERIM',
    'LAST_CHECKPOINT',
    'AtomicBackend',
    'Coverage',
    'Source',
    'Start',
    'UnsafeCheckpointError',
    'check_checkpoint_fits',
    'check_loaded',
    'collect_gradients',
    'drop_sources',
    'examine',
    'examine_all',
    'examine_start',
    'find_coverage',
    'find_resumable',
    'pack_message_hub',
    'read_content',
    'read_plain',
    'read_weights',
    'report',
    'restart_schedules',
    'restore_gradients',
    'schedules_differ',
    'to_plain',
    'unpack_message_hub',
]
