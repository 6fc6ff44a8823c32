"""Proxies: videos prepared once, so that clips of them take milliseconds."""

from .blur import BlurSettings
from .many_videos import MadeProxies, make_proxies, verify_proxies
from .one_video import Proxy, ProxySettings, make_proxy

__all__ = [
    'BlurSettings',
    'MadeProxies',
    'Proxy',
    'ProxySettings',
    'make_proxies',
    'make_proxy',
    'verify_proxies',
]
