import numpy as np
import pytest
import torch

from mmvidssl.datasets import RepeatAugment, SampleClip
from mmvidssl.datasets.readers import PyAVReader

AUGMENT = [dict(type='ClipRandomFlip'), dict(type='CubeMask'), dict(type='PackClipInputs')]
SAMPLE = dict(type='SampleClip', clip_len=2, frame_interval=1)


def results_of(path, seed=0):
    rng = np.random.default_rng(seed)
    return dict(video_path=str(path), reader=dict(type='PyAVReader'), rng=rng, label=5)


def same(first, second):
    return torch.equal(first['inputs']['clip'], second['inputs']['clip'])


def test_repeats_share_the_clip_but_not_the_draws(video):
    results = SampleClip(clip_len=2, frame_interval=1)(results_of(video))
    samples = RepeatAugment(AUGMENT, num_repeats=8)(results)
    assert len(samples) == 8
    inds = {tuple(sample['data_samples'].frame_inds) for sample in samples}
    assert len(inds) == 1
    clips = [sample['inputs']['clip'] for sample in samples]
    flipped = [torch.equal(clip, clips[0].flip(-1)) for clip in clips]
    assert any(flipped)
    assert all(
        flag or torch.equal(clip, clips[0]) for flag, clip in zip(flipped, clips, strict=True)
    )
    masks = {sample['data_samples'].mask.numpy().tobytes() for sample in samples}
    assert len(masks) == 8
    assert {sample['data_samples'].label for sample in samples} == {5}


def test_repeats_with_clips_of_their_own_open_the_video_once(video, monkeypatch):
    opened = []
    build = PyAVReader._build
    monkeypatch.setattr(PyAVReader, '_build', lambda self: opened.append(1) or build(self))
    sample = dict(SAMPLE, timeout=None)  # in this process, to be watched
    samples = RepeatAugment([sample, *AUGMENT], num_repeats=4)(results_of(video))
    assert len({tuple(sample['data_samples'].frame_inds) for sample in samples}) > 1
    assert len(opened) == 1


def test_repeats_follow_the_generator(video):
    repeat = RepeatAugment([SAMPLE, *AUGMENT], num_repeats=3)
    first, again, other = (repeat(results_of(video, seed)) for seed in (0, 0, 1))
    assert all(map(same, first, again))
    assert not all(map(same, first, other))


def test_failures_are_counted_by_the_first_repeat(video):
    results = SampleClip(clip_len=2, frame_interval=1)(results_of(video))
    failure = dict(path='b.mp4', reason='bad', replaced=True, quarantined=False, times=1)
    results['decode_failures'] = [failure]
    samples = RepeatAugment(AUGMENT, num_repeats=3)(results)
    told = [sample['data_samples'].decode_failures for sample in samples]
    assert told == [[failure], *[[dict(failure, times=0)]] * 2]


def test_impossible_settings():
    with pytest.raises(ValueError, match='num_repeats'):
        RepeatAugment(AUGMENT, num_repeats=0)
