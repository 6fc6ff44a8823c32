"""Checks whether data can teach a model: of what a config names, and of data sets that are built.

A check takes what it looks at and yields findings; :func:`refuse` says them.
"""

from .classification import CLASS_FILE, find_class_folders, read_class_file
from .config import check_config, expected_tree
from .dataset import check_dataset
from .subject import Subject, leaves, refuse

__all__ = [
    'CLASS_FILE',
    'Subject',
    'check_config',
    'check_dataset',
    'expected_tree',
    'find_class_folders',
    'leaves',
    'read_class_file',
    'refuse',
]
