"""The Python interface: build models, extract features, draw, convert and export."""

from .converters.dino import convert_checkpoint
from .converters.files import Conversion
from .converters.publish import publish_model
from .converters.slowfast import convert_slowfast
from .converters.timm_and_hf import Export, export_to_hf, export_to_timm
from .converters.torchscript import ExportedBackbone, export_backbone
from .feature_files import write_features
from .features import FeatureExtractor, FileFeatures, extract_features
from .media import Sampling
from .model import init_backbone, init_model, load_weights
from .neighbors import draw_neighbors
from .pictures import (
    draw_features,
    draw_objects,
    draw_predictions,
    patch_features,
    read_footage,
)
from .proxies import (
    BlurSettings,
    MadeProxies,
    Proxy,
    ProxySettings,
    make_proxies,
    make_proxy,
    verify_proxies,
)
from .replay import replay_iteration
from .ssl_visualization_hook import SSLVisualizationHook
from .track import TrackedObjects, track_objects
from .video_lists import VideoLists, list_videos
from .video_statistics import describe_video, describe_videos
from .walking_tours import download_tour, prepare_tours, verify_tour

__all__ = [
    'BlurSettings',
    'Conversion',
    'Export',
    'ExportedBackbone',
    'FeatureExtractor',
    'FileFeatures',
    'MadeProxies',
    'Proxy',
    'ProxySettings',
    'SSLVisualizationHook',
    'Sampling',
    'TrackedObjects',
    'VideoLists',
    'convert_checkpoint',
    'convert_slowfast',
    'describe_video',
    'describe_videos',
    'download_tour',
    'draw_features',
    'draw_neighbors',
    'draw_objects',
    'draw_predictions',
    'export_backbone',
    'export_to_hf',
    'export_to_timm',
    'extract_features',
    'init_backbone',
    'init_model',
    'list_videos',
    'load_weights',
    'make_proxies',
    'make_proxy',
    'patch_features',
    'prepare_tours',
    'publish_model',
    'read_footage',
    'replay_iteration',
    'track_objects',
    'verify_proxies',
    'verify_tour',
    'write_features',
]
