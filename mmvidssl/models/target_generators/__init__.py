"""What the student must predict: modules without gradient, aligned with the prediction."""

from .distillation_target_generator import DistillationTargetGenerator

__all__ = ['DistillationTargetGenerator']
