"""Target generators: compute what the student must predict, without gradient."""

from .deep_feature_generator import DeepFeatureGenerator
from .discrete_token_generator import DiscreteTokenGenerator
from .distillation_target_generator import DistillationTargetGenerator
from .hog_generator import HOGGenerator
from .pixel_generator import PixelGenerator
from .pseudo_label_generator import PseudoLabelGenerator

__all__ = [
    'DeepFeatureGenerator',
    'DiscreteTokenGenerator',
    'DistillationTargetGenerator',
    'HOGGenerator',
    'PixelGenerator',
    'PseudoLabelGenerator',
]
