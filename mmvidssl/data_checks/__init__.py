"""Checks whether data can teach a model, a file for each kind of data.

:func:`check_config` looks at what a config names before anything is built, :func:`check_dataset` at
a built data set and the model it is for. A check takes what it looks at and yields findings;
:func:`refuse` says them, naming the file and what to change.
"""

from .classification import CLASS_FILE, find_class_folders, read_class_file
from .config import check_config, expected_tree, find_in_config
from .dataset import check_dataset
from .findings import refuse
from .subject import Subject, leaves

__all__ = [
    'CLASS_FILE',
    'Subject',
    'check_config',
    'check_dataset',
    'expected_tree',
    'find_class_folders',
    'find_in_config',
    'leaves',
    'read_class_file',
    'refuse',
]
