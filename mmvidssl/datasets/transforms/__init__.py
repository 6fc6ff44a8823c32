"""What happens to a clip between the disk and the batch."""

from .base import build_transforms
from .decoding import DecodeClip
from .formatting import PackClipInputs
from .multi_crop import ClipMultiCrop
from .photometric import ClipColorJitter, ClipGaussianBlur, ClipRandomGrayscale, ClipSolarize
from .spatial import ClipCenterCrop, ClipRandomFlip, ClipRandomResizedCrop, ClipResize

__all__ = [
    'ClipCenterCrop',
    'ClipColorJitter',
    'ClipGaussianBlur',
    'ClipMultiCrop',
    'ClipRandomFlip',
    'ClipRandomGrayscale',
    'ClipRandomResizedCrop',
    'ClipResize',
    'ClipSolarize',
    'DecodeClip',
    'PackClipInputs',
    'build_transforms',
]
