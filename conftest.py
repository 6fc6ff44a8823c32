"""What all tests are spared; the projects' too."""

import ast
import gc
from collections.abc import Iterator

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def no_default_scope() -> Iterator[None]:
    """Runners leave the scope that bare names are looked up in first; a test starts without one."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session', autouse=True)
def frozen_imports() -> None:
    """MMEngine collects garbage for each data set: not among what is imported, half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session', autouse=True)
def no_formatting() -> Iterator[None]:
    """Spare the layout of configs, half of a small run's time; they must still be Python."""

    def check(text: str, **style: object) -> tuple[str, bool]:
        ast.parse(text)
        return text, True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmengine.config.config.FormatCode', check)
        yield
