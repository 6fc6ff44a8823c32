"""mmvidssl: self-supervised learning from video for OpenMMLab."""

from .utils.compat import check_versions, register_package
from .version import __version__, version_info

check_versions()
register_package()

__all__ = ['__version__', 'version_info']
