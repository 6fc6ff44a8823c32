import pytest

from mmvidssl.datasets import ClipIndex
from mmvidssl.datasets.samplers import clip_sampler
from mmvidssl.datasets.samplers.clip_sampler import ClipSampler


def epoch_of(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def ranks(monkeypatch, world_size, length, **kwargs):
    samplers = []
    for rank in range(world_size):
        monkeypatch.setattr(clip_sampler, 'get_dist_info', lambda rank=rank: (rank, world_size))
        samplers.append(ClipSampler(range(length), **kwargs))
    return samplers


def test_yields_every_sample_once_with_the_epoch_as_draw():
    samples = epoch_of(ClipSampler(range(50), seed=0), 4)
    assert all(isinstance(s, ClipIndex) and s.draw == 4 for s in samples)
    assert sorted(s.index for s in samples) == list(range(50))
    assert [s.index for s in samples] != list(range(50))


def test_order_is_a_function_of_seed_and_epoch():
    sampler = ClipSampler(range(50), seed=0)
    first = epoch_of(sampler, 0)
    second = epoch_of(sampler, 1)
    assert [s.index for s in first] != [s.index for s in second]
    assert epoch_of(ClipSampler(range(50), seed=0), 1) == second
    # seed + epoch alone would make these two equal
    assert [s.index for s in epoch_of(ClipSampler(range(50), seed=1), 0)] != [
        s.index for s in second
    ]


def test_without_shuffling():
    samples = epoch_of(ClipSampler(range(5), shuffle=False), 0)
    assert [s.index for s in samples] == [0, 1, 2, 3, 4]


def test_without_a_seed_ranks_share_one(monkeypatch):
    monkeypatch.setattr(clip_sampler, 'sync_random_seed', lambda: 7)
    assert list(ClipSampler(range(50))) == list(ClipSampler(range(50), seed=7))


def test_ranks_interleave_the_same_order(monkeypatch):
    single = epoch_of(ClipSampler(range(12), seed=3), 2)
    parts = [epoch_of(s, 2) for s in ranks(monkeypatch, 3, 12, seed=3)]
    assert [s for triple in zip(*parts, strict=True) for s in triple] == single


@pytest.mark.parametrize('round_up, lengths', [(True, [4, 4, 4]), (False, [4, 3, 3])])
def test_uneven_ranks(monkeypatch, round_up, lengths):
    samplers = ranks(monkeypatch, 3, 10, seed=0, round_up=round_up)
    parts = [list(s) for s in samplers]
    assert [len(p) for p in parts] == [len(s) for s in samplers] == lengths
    assert {s.index for part in parts for s in part} == set(range(10))


def test_more_ranks_than_samples(monkeypatch):
    samplers = ranks(monkeypatch, 5, 2, seed=0)
    assert [len(list(s)) for s in samplers] == [len(s) for s in samplers] == [1] * 5
    samplers = ranks(monkeypatch, 5, 2, seed=0, round_up=False)
    assert [len(list(s)) for s in samplers] == [len(s) for s in samplers] == [1, 1, 0, 0, 0]


def test_shorter_epochs_are_fresh_subsets(monkeypatch):
    sampler = ClipSampler(range(100), seed=0, num_samples_per_epoch=10)
    subsets = [frozenset(s.index for s in epoch_of(sampler, epoch)) for epoch in range(3)]
    assert len(sampler) == 10
    assert [len(s) for s in subsets] == [10, 10, 10]
    assert len(set(subsets)) == 3
    parts = ranks(monkeypatch, 2, 100, seed=0, num_samples_per_epoch=10)
    assert {s.index for p in parts for s in p} == subsets[0]
    assert [len(p) for p in parts] == [5, 5]


@pytest.mark.parametrize('count', [0, 101])
def test_impossible_epoch_length(count):
    with pytest.raises(ValueError, match=r'1\.\.100'):
        ClipSampler(range(100), num_samples_per_epoch=count)
