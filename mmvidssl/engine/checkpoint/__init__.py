"""Checkpoints: plain, whole, and of the right model."""

from .atomic_backend import AtomicBackend
from .coverage import Coverage, find_coverage
from .fit import check_checkpoint_fits
from .latest import LAST_CHECKPOINT, find_resumable
from .pending_gradients import collect_gradients, restore_gradients
from .plain_state import pack_message_hub, unpack_message_hub
from .pretrained import check_arrival, drop_sources, examine, examine_all, find_sources
from .schedules import restart_schedules
from .start import Start, examine_start
from .weights_file import UnsafeCheckpointError, read_content, read_plain, read_weights

__all__ = [
    'LAST_CHECKPOINT',
    'AtomicBackend',
    'Coverage',
    'Start',
    'UnsafeCheckpointError',
    'check_arrival',
    'check_checkpoint_fits',
    'collect_gradients',
    'drop_sources',
    'examine',
    'examine_all',
    'examine_start',
    'find_coverage',
    'find_resumable',
    'find_sources',
    'pack_message_hub',
    'read_content',
    'read_plain',
    'read_weights',
    'restart_schedules',
    'restore_gradients',
    'unpack_message_hub',
]
