import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(scope='module', autouse=True)
def scope():
    """Runners set the default scope of the process; put it back."""
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)
