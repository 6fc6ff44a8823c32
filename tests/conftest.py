import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def no_default_scope():
    """Runners leave the scope that bare names are looked up in first; a test starts without one."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()
