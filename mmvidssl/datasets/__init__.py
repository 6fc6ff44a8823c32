"""Data sets, video readers, samplers and transforms: from files on disk to a batch."""

from .clips import ClipIndex
from .frame_folders import DAVISDataset, TrackingDataset
from .list_files import find_files, read_file_list
from .long_video_dataset import LongVideoDataset
from .media_list_dataset import ImageListDataset, VideoListDataset
from .object_box_datasets import COCOBoxDataset, DAVISBoxDataset, VOCBoxDataset
from .readers import DecordReader, ProxyReader, PyAVReader, ReaderCache, VideoError, VideoReader
from .samplers import ClipSampler
from .transforms import (
    BlockMask,
    ClipMultiCrop,
    CubeMask,
    DecodeClip,
    FrameMask,
    LoadImageClip,
    PackClipInputs,
    RandomMask,
    RepeatAugment,
    SampleClip,
    TubeMask,
    flat_collate,
)
from .walking_tours_dataset import WalkingToursDataset

__all__ = [
    'BlockMask',
    'COCOBoxDataset',
    'ClipIndex',
    'ClipMultiCrop',
    'ClipSampler',
    'CubeMask',
    'DAVISBoxDataset',
    'DAVISDataset',
    'DecodeClip',
    'DecordReader',
    'FrameMask',
    'ImageListDataset',
    'LoadImageClip',
    'LongVideoDataset',
    'PackClipInputs',
    'ProxyReader',
    'PyAVReader',
    'RandomMask',
    'ReaderCache',
    'RepeatAugment',
    'SampleClip',
    'TrackingDataset',
    'TubeMask',
    'VOCBoxDataset',
    'VideoError',
    'VideoListDataset',
    'VideoReader',
    'WalkingToursDataset',
    'find_files',
    'flat_collate',
    'read_file_list',
]
