"""Checks whether data can teach a model, a file for each kind of data.

:func:`check_config` looks at what a config names before anything is built, :func:`check_dataset` at
a built data set and the model it is for; both refuse, naming the file and what to change.
"""

from .config import check_config
from .dataset import check_dataset, leaves
from .image_folders import find_class_folders
from .videos import CLASS_FILE, read_class_file

__all__ = [
    'CLASS_FILE',
    'check_config',
    'check_dataset',
    'find_class_folders',
    'leaves',
    'read_class_file',
]
