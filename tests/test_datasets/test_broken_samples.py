"""Samples in the place of those that cannot be read; without videos, by a pipeline that fails."""

import numpy as np
import pytest

from mmvidssl.datasets import ClipIndex, LongVideoDataset, VideoListDataset, broken_samples
from mmvidssl.datasets.broken_samples import (
    MAX_REPLACEMENTS,
    RETRY_PAUSE,
    NoVideoLeftError,
    Quarantine,
)
from mmvidssl.datasets.readers import (
    DecoderDiedError,
    DecodeTimeoutError,
    UndecodableVideoError,
    VideoDiskError,
    VideoError,
    VideoNotFoundError,
)
from tests.utils_video import write_video

NAMES = [f'{letter}.mp4' for letter in 'abcdef']


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """The seconds that would have been slept."""
    seconds: list[float] = []
    monkeypatch.setattr(broken_samples, 'sleep', seconds.append)
    return seconds


class Failing:
    """A pipeline's step that fails for some videos, so many times."""

    def __init__(self, error: type[VideoError] = UndecodableVideoError, **times) -> None:
        self.error = error
        self.times = {f'{letter}.mp4': number for letter, number in times.items()}
        self.seen: list[str] = []

    def __call__(self, results: dict) -> dict:
        name = results['video_path'].rsplit('/', 1)[-1]
        self.seen.append(name)
        if self.times.get(name, 0):
            self.times[name] -= 1
            raise self.error(f'{name} is broken')
        return dict(results, name=name, drawn=results['rng'].random())


def listed(folder, step, **kwargs):
    for name in NAMES:
        (folder / name).write_bytes(b'x')
    return VideoListDataset(data_root=str(folder), seed=3, pipeline=[step], **kwargs)


def told(sample):
    return [
        (failure['path'].rsplit('/', 1)[-1], failure['replaced'], failure['quarantined'])
        for failure in sample.get('decode_failures', [])
    ]


def test_nothing_is_added_when_nothing_fails(tmp_path):
    sample = listed(tmp_path, Failing())[ClipIndex(1, 0)]
    assert sample['name'] == 'b.mp4' and 'decode_failures' not in sample


@pytest.mark.parametrize('error', [VideoNotFoundError, VideoDiskError, DecoderDiedError])
def test_what_passes_gives_the_same_sample_and_is_told(tmp_path, slept, error):
    step = Failing(error, b=1)
    sample = listed(tmp_path, step)[ClipIndex(1, 0)]
    assert step.seen == ['b.mp4'] * 2 and slept == [RETRY_PAUSE]
    assert told(sample) == [('b.mp4', False, False)]
    assert sample['decode_failures'][0]['reason'] == f'{error.__name__}: b.mp4 is broken'
    assert sample['drawn'] == listed(tmp_path, Failing())[ClipIndex(1, 0)]['drawn']


def test_what_does_not_pass_is_replaced(tmp_path, slept):
    sample = listed(tmp_path, Failing(VideoDiskError, b=2))[ClipIndex(1, 0)]
    assert sample['name'] != 'b.mp4' and slept == [RETRY_PAUSE]
    assert told(sample) == [('b.mp4', True, True)]


def test_a_broken_video_is_replaced_and_read_no_more(tmp_path):
    step = Failing(b=100)
    dataset = listed(tmp_path, step)
    first = dataset[ClipIndex(1, 0)]
    assert first['name'] != 'b.mp4' and told(first) == [('b.mp4', True, True)]
    again = dataset[ClipIndex(1, 1)]
    assert again['name'] != 'b.mp4' and told(again) == [('b.mp4', True, True)]
    assert step.seen.count('b.mp4') == 1


def test_what_replaces_is_a_function_of_seed_index_and_draw(tmp_path):
    dataset = listed(tmp_path, Failing(b=100, c=100))

    def replacement(index, draw):
        dataset.quarantine = Quarantine(after=1)  # as in a worker that has seen nothing yet
        sample = dataset[ClipIndex(index, draw)]
        return sample['name'], sample['drawn']

    assert replacement(1, 0) == replacement(1, 0)
    others = {replacement(index, draw) for index in (1, 2) for draw in range(8)}
    assert len(others) == 16  # random draws of their own
    assert {name for name, _ in others} == {'a.mp4', 'd.mp4', 'e.mp4', 'f.mp4'}


def test_a_failing_replacement_is_told_too(tmp_path):
    step = Failing(a=100, b=100, c=100, d=100, e=100)
    sample = listed(tmp_path, step)[ClipIndex(1, 0)]
    names = [name for name, *_ in told(sample)]
    assert sample['name'] == 'f.mp4' and names[0] == 'b.mp4' and len(names) > 1


def test_without_a_video_left_all_are_listed(tmp_path):
    with pytest.raises(NoVideoLeftError, match='6 of 6 videos fail') as caught:
        listed(tmp_path, Failing(a=9, b=9, c=9, d=9, e=9, f=9))[ClipIndex(1, 0)]
    assert all(f'{name}: UndecodableVideoError' in str(caught.value) for name in NAMES)


def test_a_lost_disk_is_not_searched_to_the_end(tmp_path):
    step = Failing(a=999, b=999, c=999, d=999, e=999, f=999)
    dataset = listed(tmp_path, step, quarantine_after=1000)
    with pytest.raises(NoVideoLeftError):
        dataset[ClipIndex(1, 0)]
    assert len(step.seen) == MAX_REPLACEMENTS + 1


def test_a_stall_is_not_tried_again(tmp_path, slept):
    """Other processes wait meanwhile."""
    step = Failing(DecodeTimeoutError, b=9)
    sample = listed(tmp_path, step)[ClipIndex(1, 0)]
    assert step.seen.count('b.mp4') == 1 and not slept
    assert told(sample) == [('b.mp4', True, True)]


def test_what_was_drawn_for_one_sample_counts_once(tmp_path):
    """Of a single video all that is drawn in a sample's place is its own."""
    write_video(tmp_path / 'a.mp4', num_frames=20)
    step = Failing(a=5)
    dataset = LongVideoDataset(
        videos=['a.mp4'], data_root=str(tmp_path), clip_len=2, pipeline=[step]
    )
    sample = dataset[ClipIndex(0, 0)]
    assert told(sample) == [('a.mp4', True, False)] * 5
    assert not dataset.quarantine.reasons


def test_other_errors_are_not_swallowed(tmp_path):
    def step(results):
        raise ValueError('a mistake')

    with pytest.raises(ValueError, match='a mistake'):
        listed(tmp_path, step)[ClipIndex(1, 0)]


@pytest.mark.parametrize('kwargs', [dict(test_mode=True), dict(quarantine_after=None)])
def test_nothing_is_replaced_in_tests_or_if_not_wanted(tmp_path, kwargs):
    step = Failing(VideoDiskError, b=3)
    dataset = listed(tmp_path, step, **kwargs)
    with pytest.raises(VideoError, match=r'b\.mp4'):
        dataset[1]
    assert told(dataset[1]) == [('b.mp4', False, False)]


def test_a_long_video_may_fail_now_and_then(tmp_path):
    for name in NAMES[:2]:
        write_video(tmp_path / name, num_frames=20)
    step = Failing()
    dataset = LongVideoDataset(
        videos=NAMES[:2], data_root=str(tmp_path), clip_len=2, pipeline=[step]
    )
    num_clips = len(dataset) // 2

    def ask():
        return told(dataset[ClipIndex(num_clips, 0)])

    for _ in range(4):
        step.times['b.mp4'] = 1
        assert ask() == [('b.mp4', True, False)]
        assert ask() == []  # and the count begins anew
    step.times['b.mp4'] = 99
    flags = [any(is_quarantined for *_, is_quarantined in ask()) for _ in range(4)]
    assert flags == [False, False, True, True]
    assert all(dataset[ClipIndex(num_clips, draw)]['name'] == 'a.mp4' for draw in range(5))


def test_replacements_are_spread_over_the_clips_that_are_left():
    quarantine = Quarantine(after=1)
    quarantine.note_failure(1, 'broken')
    ends = np.array([3, 10, 14])
    rng = np.random.default_rng(0)
    drawn, counts = np.unique([quarantine.draw(ends, rng) for _ in range(7000)], return_counts=True)
    assert drawn.tolist() == [0, 1, 2, 10, 11, 12, 13]
    assert (abs(counts - 1000) < 150).all()
    quarantine.note_failure(0, 'broken')
    quarantine.note_failure(2, 'broken')
    assert quarantine.draw(ends, rng) is None


def test_impossible_settings(tmp_path):
    with pytest.raises(ValueError, match='quarantine_after'):
        listed(tmp_path, Failing(), quarantine_after=0)


@pytest.mark.parametrize(
    'kind, option, instead',
    [
        (LongVideoDataset, 'clips_per_seek', 'make_proxy'),
        (LongVideoDataset, 'max_retries', 'once more'),
        (VideoListDataset, 'max_retries', 'once more'),
    ],
)
def test_removed_options(tmp_path, kind, option, instead):
    with pytest.raises(TypeError, match=f'{kind.__name__}.*{option}.*{instead}'):
        kind(data_root=str(tmp_path), lazy_init=True, **{option: 4})
