"""Checkpoints: plain, whole, and of the right model."""

from .atomic_backend import AtomicBackend
from .fit import check_checkpoint_fits
from .latest import LAST_CHECKPOINT, find_resumable
from .pending_gradients import collect_gradients, restore_gradients
from .plain_state import pack_message_hub, unpack_message_hub
from .schedules import restart_schedules

__all__ = [
    'LAST_CHECKPOINT',
    'AtomicBackend',
    'check_checkpoint_fits',
    'collect_gradients',
    'find_resumable',
    'pack_message_hub',
    'restart_schedules',
    'restore_gradients',
    'unpack_message_hub',
]
