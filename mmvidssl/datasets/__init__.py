"""Pillar 1: from disk to a batch."""

from .clips import ClipIndex
from .list_files import find_files, read_file_list
from .long_video_dataset import LongVideoDataset
from .media_list_dataset import ImageListDataset, VideoListDataset
from .readers import *
from .samplers import ClipSampler
from .transforms import *
from .walking_tours_dataset import WalkingToursDataset
