import numpy as np
import pytest
import torch

from mmvidssl.datasets import DecodeClip, PyAVReader, SampleClip
from tests.utils_video import read_frame_number, write_video


def results_of(path, inds=(3, 13)):
    return dict(video_path=str(path), frame_inds=np.array(inds), reader=dict(type='PyAVReader'))


def test_decodes_the_frames(video):
    clip = DecodeClip()(results_of(video))['clip']
    assert clip.shape == (2, 64, 96, 3)
    assert [read_frame_number(frame) for frame in clip] == [3, 13]


def test_shrinks(video):
    assert DecodeClip(short_side=32)(results_of(video))['clip'].shape == (2, 32, 48, 3)


def test_opens_a_video_once_for_many_samples(video, short_video, monkeypatch):
    opened = []
    build = PyAVReader._build
    monkeypatch.setattr(PyAVReader, '_build', lambda self: opened.append(self.path) or build(self))
    decode = DecodeClip(max_open=2, timeout=None)  # in this process, to be watched
    for path in (video, short_video, video, video, short_video):
        decode(results_of(path))
    assert opened == [str(video), str(short_video)]


@pytest.mark.parametrize('kwargs', [dict(short_side=0), dict(max_open=0), dict(timeout=0)])
def test_impossible_settings(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        DecodeClip(**kwargs)


def test_a_removed_option_names_what_replaces_it():
    with pytest.raises(TypeError, match='on_reopen.*max_open'):
        DecodeClip(on_reopen='ignore')
    with pytest.raises(TypeError, match='max_opne'):
        DecodeClip(max_opne=3)


def sampled(path, seed=0, **kwargs):
    results = results_of(path) | dict(rng=np.random.default_rng(seed))
    del results['frame_inds']
    return SampleClip(**kwargs)(results)


def test_sampled_clips_start_everywhere_alike(short_video):
    """40 frames, clips of 4 that span 37: starts 0, 1, 2 and 3."""
    sample, rng = SampleClip(clip_len=4, frame_interval=12), np.random.default_rng(0)
    results = dict(video_path=str(short_video), reader=dict(type='PyAVReader'), rng=rng)
    sample.transform(results)
    reader = sample.readers.get(results['video_path'], results['reader'])
    starts = []
    for _ in range(400):
        inds = sample._choose_frames(reader, rng)
        assert (np.diff(inds) == 12).all()
        starts.append(inds[0])
    counts = np.bincount(starts)
    assert len(counts) == 4
    assert np.abs(counts - 100).max() < 4.5 * np.sqrt(400 * 3 / 16)


def test_sampled_clip_holds_the_frames_it_names(video):
    sample = sampled(video, clip_len=5, frame_interval=7)
    assert [read_frame_number(frame) for frame in sample['clip']] == sample['frame_inds'].tolist()
    assert sample['fps'] == pytest.approx(10)
    assert sampled(video, clip_len=5, short_side=32)['clip'].shape == (5, 32, 48, 3)


def test_center_clip(short_video):
    inds = sampled(short_video, clip_len=3, frame_interval=10, position='center')['frame_inds']
    assert inds.tolist() == [9, 19, 29]
    results = results_of(short_video)
    assert SampleClip(clip_len=40, frame_interval=1, position='center')(results)['clip'].any()


def test_short_video_ends_with_its_last_frame(short_video):
    for position in ('random', 'center'):
        sample = sampled(short_video, clip_len=5, frame_interval=12, position=position)
        assert sample['frame_inds'].tolist() == [0, 12, 24, 36, 39]
    sample = sampled(short_video, clip_len=6, frame_interval=1.0, interval_unit='seconds')
    assert sample['frame_inds'].tolist() == [0, 10, 20, 30, 39, 39]


def test_one_frame_is_enough(tmp_path):
    path = write_video(tmp_path / 'one.mp4', num_frames=1)
    assert sampled(path, clip_len=3)['frame_inds'].tolist() == [0, 0, 0]


def test_clips_in_seconds(video):
    inds = sampled(video, clip_len=4, frame_interval=0.5, interval_unit='seconds')['frame_inds']
    assert np.diff(inds).tolist() == [5, 5, 5]


def test_sampling_follows_the_generator(video):
    firsts = [sampled(video, seed, clip_len=2)['frame_inds'][0] for seed in (0, 0, 1, 2, 3)]
    assert firsts[0] == firsts[1]
    assert len(set(firsts)) > 2


def test_only_the_last_video_stays_open(video, short_video):
    sample = SampleClip(clip_len=2, timeout=None)
    for path in (video, short_video, video):
        sample(results_of(path) | dict(rng=np.random.default_rng(0)))
        assert len(sample.readers) == 1


@pytest.mark.parametrize(
    'kwargs, word',
    [
        (dict(clip_len=0), 'clip_len'),
        (dict(frame_interval=0.5), 'whole number'),
        (dict(position='left'), 'position'),
        (dict(short_side=0), 'short_side'),
    ],
)
def test_impossible_sampling(kwargs, word):
    with pytest.raises(ValueError, match=word):
        SampleClip(**kwargs)


def test_random_position_follows_torch_where_there_is_no_generator(video):
    """In other libraries' pipelines, whose workers seed torch."""
    drawn = []
    for _ in range(2):
        torch.manual_seed(0)
        drawn.append(SampleClip(clip_len=2)(results_of(video))['frame_inds'].tolist())
    assert drawn[0] == drawn[1]
