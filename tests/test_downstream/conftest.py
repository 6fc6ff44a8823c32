import fcntl
import os
from contextlib import contextmanager

import pytest
from mmengine.registry import DefaultScope

from tests.test_downstream.utils_pretraining import Pretrained, pretrain


@contextmanager
def scope_restored():
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture(scope='session')
def pretrained(tmp_path_factory) -> Pretrained:
    """Checkpoints of short pretraining runs, made once for all of pytest's processes."""
    folder = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        folder = folder.parent
    folder = folder / 'pretrained'
    folder.mkdir(exist_ok=True)
    with open(folder / 'lock', 'w') as lock, scope_restored():
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / 'done').exists():
            pretrain(folder)
            (folder / 'done').touch()
    return Pretrained.in_folder(folder)
