import pytest

from mmvidssl.datasets import ClipIndex
from mmvidssl.datasets import samplers as samplers_module
from mmvidssl.datasets.samplers import ClipSampler


def epoch_of(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def ranks(monkeypatch, world_size, length, **kwargs):
    samplers = []
    for rank in range(world_size):
        monkeypatch.setattr(samplers_module, 'get_dist_info', lambda rank=rank: (rank, world_size))
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
    monkeypatch.setattr(samplers_module, 'sync_random_seed', lambda: 7)
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


@pytest.mark.parametrize('done', [0, 1, 7, 12, 13, 100])
def test_starts_anywhere(done):
    sampler = ClipSampler(range(13), seed=0)
    whole = epoch_of(sampler, 2)
    sampler.set_position(2, done)
    assert list(sampler) == whole[done:]
    assert sampler.num_left(done) == len(whole[done:])
    assert len(sampler) == 13  # of a whole epoch
    assert epoch_of(sampler, 2) == whole


@pytest.mark.parametrize('round_up', [True, False])
@pytest.mark.parametrize('done', [0, 3, 9, 12])
def test_ranks_start_at_the_same_place(monkeypatch, done, round_up):
    """Ten samples for three ranks: the last round is filled up as in a whole epoch, or not."""
    for sampler in ranks(monkeypatch, 3, 10, seed=0, round_up=round_up):
        whole = epoch_of(sampler, 1)
        sampler.set_position(1, done)
        assert list(sampler) == whole[done // 3 :]
        assert sampler.num_left(done) == len(whole[done // 3 :])


def test_another_number_of_ranks_takes_what_is_left(monkeypatch):
    order = epoch_of(ClipSampler(range(20), seed=0), 0)
    parts = ranks(monkeypatch, 4, 20, seed=0)
    for sampler in parts:
        sampler.set_position(0, 6)  # what three ranks had done in two rounds
    rounds = [s for group in zip(*parts, strict=True) for s in group]
    assert rounds[:14] == order[6:]
    assert rounds[14:] == order[:2]


def test_refuses_a_negative_position():
    with pytest.raises(ValueError, match='-1'):
        ClipSampler(range(3)).set_position(0, -1)


class TestLongOrders:
    LENGTH = 6007

    @pytest.mark.parametrize('round_up', [True, False])
    @pytest.mark.parametrize('world_size', [1, 3, 4])
    @pytest.mark.parametrize('done', [0, 1, 3000, 6006, 6007])
    def test_shards_are_slices_of_the_whole_order(self, monkeypatch, world_size, done, round_up):
        whole = [s.index for s in epoch_of(ClipSampler(range(self.LENGTH), seed=1), 3)]
        assert sorted(whole) == list(range(self.LENGTH))
        left = whole[done:]
        if round_up:
            left += whole[: -len(left) % world_size]
        for rank, sampler in enumerate(
            ranks(monkeypatch, world_size, self.LENGTH, seed=1, round_up=round_up)
        ):
            sampler.set_position(3, done)
            assert [s.index for s in sampler] == left[rank::world_size]

    def test_shorter_epochs_are_fresh_subsets(self):
        sampler = ClipSampler(range(self.LENGTH), seed=0, num_samples_per_epoch=50)
        subsets = [{s.index for s in epoch_of(sampler, epoch)} for epoch in range(2)]
        assert [len(s) for s in subsets] == [50, 50]
        assert len(subsets[0] & subsets[1]) < 10


class TestOtherOrders:
    def test_sequential(self):
        samples = epoch_of(ClipSampler(range(5000), order='sequential'), 3)
        assert [s.index for s in samples] == list(range(5000))

    def test_a_slot_of_the_batch_follows_its_stream(self, monkeypatch):
        """11 samples in 4 streams: 0-2, 3-5, 6-8, 9-10."""
        sampler = ClipSampler(range(11), order='streams', num_streams=4)
        assert [s.index for s in sampler] == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8]
        parts = ranks(monkeypatch, 2, 11, order='streams', num_streams=4, round_up=False)
        assert [s.index for s in parts[0]] == [0, 6, 1, 7, 2, 8]
        assert [s.index for s in parts[1]] == [3, 9, 4, 10, 5]

    @pytest.mark.parametrize('length', [1, 7, 24, 25, 5001])
    @pytest.mark.parametrize('num_streams', [1, 3, 7, 24])
    def test_streams_hold_every_sample_once(self, length, num_streams):
        num_streams = min(num_streams, length)
        sampler = ClipSampler(range(length), order='streams', num_streams=num_streams)
        indices = [s.index for s in sampler]
        assert sorted(indices) == list(range(length))
        for slot in range(num_streams):
            stream = indices[slot::num_streams]
            assert stream == list(range(stream[0], stream[0] + len(stream)))

    def test_streams_are_entered_anywhere(self):
        sampler = ClipSampler(range(50), order='streams', num_streams=4)
        whole = list(sampler)
        sampler.set_position(0, 13)
        assert list(sampler) == whole[13:]

    def test_order_overrides_shuffle(self):
        assert ClipSampler(range(5), shuffle=False).order == 'sequential'
        assert not ClipSampler(range(5), order='sequential').shuffle
        assert ClipSampler(range(5), shuffle=False, order='shuffled').shuffle

    @pytest.mark.parametrize(
        'kwargs, word',
        [
            (dict(order='random'), "'random'"),
            (dict(order='streams'), 'num_streams belongs to'),
            (dict(num_streams=2), 'num_streams belongs to'),
            (dict(order='streams', num_streams=0), r'1\.\.9'),
            (dict(order='streams', num_streams=10), r'1\.\.9'),
        ],
    )
    def test_impossible_settings(self, kwargs, word):
        with pytest.raises(ValueError, match=word):
            ClipSampler(range(9), **kwargs)
