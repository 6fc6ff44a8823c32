"""What a script or a notebook calls: models, features, object masks, published files."""

from .convert import Conversion, convert_checkpoint
from .convert_slowfast import convert_slowfast
from .features import extract_features
from .init_model import init_model, load_weights
from .publish import publish_model
from .replay import replay_iteration
from .track import TrackedObjects, track_objects
from .video_lists import VideoLists, list_videos
from .working_copy import WorkingCopy, write_working_copy

__all__ = [
    'Conversion',
    'TrackedObjects',
    'VideoLists',
    'WorkingCopy',
    'convert_checkpoint',
    'convert_slowfast',
    'extract_features',
    'init_model',
    'list_videos',
    'load_weights',
    'publish_model',
    'replay_iteration',
    'track_objects',
    'write_working_copy',
]
