import inspect

import pytest

from mmvidssl.utils.removed_options import removed_options


@removed_options(old='set new')
class Base:
    def __init__(self, new=1):
        self.new = new


class Derived(Base):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)


@pytest.mark.parametrize('kind', [Base, Derived])
def test_names_the_replacement(kind):
    assert kind(new=2).new == 2
    with pytest.raises(TypeError, match=f"{kind.__name__} .*'old'.* set new"):
        kind(old=2)
    assert list(inspect.signature(Base).parameters) == ['new']


@removed_options(dict(old=False), old='set new')
class Tolerant(Base):
    pass


def test_a_value_that_changes_nothing_is_let_pass():
    """Configs in checkpoints of earlier versions may state it."""
    assert Tolerant(new=2, old=False).new == 2
    with pytest.raises(TypeError, match='set new'):
        Tolerant(old=True)
