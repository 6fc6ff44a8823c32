import gc

import pytest


@pytest.fixture(autouse=True)
def frozen_objects():
    """MMEngine collects garbage for each data set: not what was imported before, half a second."""
    gc.freeze()
    yield
    gc.unfreeze()
