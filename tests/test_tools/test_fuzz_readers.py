import time
from collections import Counter

import numpy as np
import pytest

from mmvidssl.registry import VIDEO_READERS
from tests.utils_broken_video import CrashingReader, PlainReader
from tools.benchmarks import fuzz_readers as module
from tools.benchmarks.fuzz_readers import (
    KINDS,
    SAMPLES,
    FuzzTally,
    damage,
    fuzz_readers,
    write_samples,
)


def test_damages_are_seeded_and_of_every_kind():
    data = np.random.default_rng(0).bytes(20000)
    draws = [[damage(data, rng) for _ in range(100)] for rng in map(np.random.default_rng, (1, 1))]
    assert draws[0] == draws[1]
    assert {kind for kind, _ in draws[0]} == set(KINDS)
    assert all(damaged != data for _, damaged in draws[0])


def test_no_reader_hangs_or_dies(tmp_path):
    tally = fuzz_readers(tmp_path, num_damages=40, seed=1, timeout=30)
    assert tally.is_safe, tally
    assert 'DecordReader' in tally.outcomes
    assert {'PyAVReader', 'ProxyReader'} <= set(tally.outcomes)
    for name, count in tally.outcomes.items():
        assert count.total() == 40 or len(tally.skipped[name]) == len(SAMPLES)
    for name in ('DecordReader', 'PyAVReader', 'ProxyReader'):
        assert tally.outcomes[name]['decoded'] and tally.outcomes[name]['typed error']


class UntypedReader(PlainReader):
    """Cannot cope with damage."""

    def get_frames(self, indices=None, short_side=None, times=None):
        if 'damaged' in self.path:
            raise ZeroDivisionError('of a rate')
        return super().get_frames(indices)


class DyingReader(CrashingReader):
    """Dies of damage."""

    def __init__(self, path: str) -> None:
        super().__init__(path.replace('damaged', 'crash'))


class StrangeReader(PlainReader):
    """Reads none of the videos."""

    def __init__(self, path: str) -> None:
        raise OSError('not mine')


class SlowReader(PlainReader):
    """Is long about one thing, not the last that is asked, of a damaged video."""

    @property
    def timestamps(self):
        time.sleep(0.5 if 'damaged' in self.path else 0)
        return super().timestamps


def test_the_longest_request_tells_what_hangs(tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEO_READERS._module_dict, 'SlowReader', SlowReader)
    monkeypatch.setattr(module, 'GRACE', 0.4 - 10)
    tally = fuzz_readers(tmp_path, num_damages=2, readers=['SlowReader'], timeout=10)
    assert tally.outcomes['SlowReader'] == Counter(hung=2)
    assert not tally.is_safe


@pytest.fixture
def odd_readers(monkeypatch):
    for reader in (UntypedReader, DyingReader, StrangeReader):
        monkeypatch.setitem(VIDEO_READERS._module_dict, reader.__name__, reader)


def test_what_goes_wrong_is_told(tmp_path, odd_readers):
    names = ['UntypedReader', 'DyingReader', 'StrangeReader']
    tally = fuzz_readers(tmp_path, num_damages=3, readers=names)
    assert tally.outcomes['UntypedReader'] == Counter({'untyped error': 3})
    assert 'ZeroDivisionError: of a rate' in tally.not_decoded['UntypedReader'][0]
    assert 'not mine' in tally.skipped['StrangeReader'][0]
    assert tally.outcomes['StrangeReader'].total() == 0
    assert not tally.is_safe


def test_a_crash_is_caught_but_a_hang_is_not_safe():
    assert FuzzTally({'a': Counter(died=2, timeout=1)}, {}, {}).is_safe
    assert not FuzzTally({'a': Counter(hung=1)}, {}, {}).is_safe


def test_samples_are_of_several_containers(tmp_path):
    assert len({path.suffix for path in write_samples(tmp_path)}) == 4
