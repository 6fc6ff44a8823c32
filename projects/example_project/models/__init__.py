"""What the config imports; importing registers the classes."""

from .sinkhorn_target_generator import SinkhornTargetGenerator
from .whole_view_dora import WholeViewDoRA

__all__ = ['SinkhornTargetGenerator', 'WholeViewDoRA']
