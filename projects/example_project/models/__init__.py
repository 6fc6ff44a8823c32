"""What the config imports; importing registers the classes."""

from .hard_target_generator import HardTargetGenerator
from .whole_view_dora import WholeViewDoRA

__all__ = ['HardTargetGenerator', 'WholeViewDoRA']
