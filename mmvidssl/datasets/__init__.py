"""Pillar 1: from disk to a batch."""

from .clip_index import ClipIndex
from .long_video_dataset import LongVideoDataset
from .readers import DecordReader, ReaderCache, VideoError, VideoReader
from .samplers import ClipSampler
from .transforms import ClipMultiCrop, DecodeClip, PackClipInputs
from .walking_tours_dataset import WalkingToursDataset

__all__ = [
    'ClipIndex',
    'ClipMultiCrop',
    'ClipSampler',
    'DecodeClip',
    'DecordReader',
    'LongVideoDataset',
    'PackClipInputs',
    'ReaderCache',
    'VideoError',
    'VideoReader',
    'WalkingToursDataset',
]
