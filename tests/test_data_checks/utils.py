"""Mistakes in one's own data, made on purpose in tiny data of the true formats.

Each is found as an error or as a warning, with the name of the file.
"""

import copy
from functools import cache

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

from mmvidssl.data_checks import check_dataset
from mmvidssl.data_checks.config import find_in_config
from tests.test_downstream.utils_dense import configs_of

ERROR, WARNING, MISSING = ValueError, UserWarning, FileNotFoundError
RED = np.full((96, 128, 3), (0, 0, 255), np.uint8)


@cache
def read_once(folder, name):
    return Config.fromfile(configs_of(folder)[name])


def config(folder, name):
    return copy.deepcopy(read_once(folder, name))


def found_in(cfg, model, part='train', num_opened=None):
    """As ``tools/datasets/check.py`` does."""
    found = list(find_in_config(cfg, [part]))
    if any(finding.kind is not WARNING for finding in found):
        return found
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg[f'{part}_dataloader'].dataset)
    return check_dataset(dataset, f'{part}_dataloader.dataset', model, num_opened).findings


def assert_found(found, kind, name):
    """The only error if it is one: nothing else is called wrong."""
    shown = [(f.kind, f'{f.file}: {f.text}') for f in found]
    assert any(k is kind and name in line for k, line in shown), shown
    assert kind is not WARNING or {k for k, _ in shown} == {WARNING}, shown


def broken(path, share):
    """Leave so much of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def turn(path, orientation):
    """A picture whose stored pixels are to be turned; it is shown as it was."""
    with Image.open(path) as image:
        pixels = image.copy()
    if orientation == 6:
        pixels = pixels.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels.save(path, exif=exif)
