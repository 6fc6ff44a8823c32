"""What a script or a notebook calls: models, features, object masks, files for others."""

from .convert import Conversion, convert_checkpoint
from .convert_slowfast import convert_slowfast
from .export_backbone import ExportedBackbone, export_backbone
from .export_vit import Export, export_to_hf, export_to_timm
from .feature_extractor import FeatureExtractor
from .features import FileFeatures, extract_features
from .fuzz_readers import FuzzTally, fuzz_readers
from .init_backbone import init_backbone
from .init_model import init_model, load_weights
from .media import Sampling
from .proxies import (
    MadeProxies,
    Proxy,
    ProxySettings,
    make_proxies,
    make_proxy,
    verify_proxies,
)
from .publish import publish_model
from .replay import replay_iteration
from .track import TrackedObjects, track_objects
from .video_lists import VideoLists, list_videos
from .working_copy import WorkingCopy, write_working_copy

__all__ = [
    'Conversion',
    'Export',
    'ExportedBackbone',
    'FeatureExtractor',
    'FileFeatures',
    'FuzzTally',
    'MadeProxies',
    'Proxy',
    'ProxySettings',
    'Sampling',
    'TrackedObjects',
    'VideoLists',
    'WorkingCopy',
    'convert_checkpoint',
    'convert_slowfast',
    'export_backbone',
    'export_to_hf',
    'export_to_timm',
    'extract_features',
    'fuzz_readers',
    'init_backbone',
    'init_model',
    'list_videos',
    'load_weights',
    'make_proxies',
    'make_proxy',
    'publish_model',
    'replay_iteration',
    'track_objects',
    'verify_proxies',
    'write_working_copy',
]
