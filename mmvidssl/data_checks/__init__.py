"""Data checks before training: of the files that a config names, and of data sets once built.

A check yields findings; :func:`refuse` reports the warnings among them and raises the errors.
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
