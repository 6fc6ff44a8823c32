"""Checkpoints: plain, whole, and of the right model."""

from .atomic_backend import AtomicBackend
from .fit import check_checkpoint_fits
from .plain_state import pack_message_hub, unpack_message_hub

__all__ = ['AtomicBackend', 'check_checkpoint_fits', 'pack_message_hub', 'unpack_message_hub']
