"""Pipeline transforms: sampling, decoding, augmenting, masking and packing clips."""

from .base import build_transforms
from .decoding import DecodeClip, LoadImageClip, SampleClip, VideoDecode, VideoInit
from .formatting import PackClipInputs, SetKeys
from .frame_folders import LoadFrames, LoadObjectMasks
from .masking import BlockMask, CubeMask, FrameMask, RandomMask, TubeMask
from .photometric import ClipColorJitter, ClipGaussianBlur, ClipRandomGrayscale, ClipSolarize
from .rand_augment import ClipRandAugment
from .spatial import ClipCenterCrop, ClipRandomFlip, ClipRandomResizedCrop, ClipResize
from .views import ClipMultiCrop, RepeatAugment, flat_collate

__all__ = [
    'BlockMask',
    'ClipCenterCrop',
    'ClipColorJitter',
    'ClipGaussianBlur',
    'ClipMultiCrop',
    'ClipRandAugment',
    'ClipRandomFlip',
    'ClipRandomGrayscale',
    'ClipRandomResizedCrop',
    'ClipResize',
    'ClipSolarize',
    'CubeMask',
    'DecodeClip',
    'FrameMask',
    'LoadFrames',
    'LoadImageClip',
    'LoadObjectMasks',
    'PackClipInputs',
    'RandomMask',
    'RepeatAugment',
    'SampleClip',
    'SetKeys',
    'TubeMask',
    'VideoDecode',
    'VideoInit',
    'build_transforms',
    'flat_collate',
]
