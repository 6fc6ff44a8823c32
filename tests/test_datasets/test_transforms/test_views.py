import numpy as np
import pytest
import torch

from mmvidssl.datasets import RepeatAugment, SampleClip
from mmvidssl.datasets.readers import PyAVReader
from mmvidssl.datasets.transforms import ClipMultiCrop

GLOBAL = [dict(type='ClipRandomResizedCrop', size=32), dict(type='ClipColorJitter', prob=1.0)]
LOCAL = [dict(type='ClipRandomResizedCrop', size=16, scale=(0.05, 0.4), per_frame=True)]
AUGMENT = [dict(type='ClipRandomFlip'), dict(type='CubeMask'), dict(type='PackClipInputs')]
SAMPLE = dict(type='SampleClip', clip_len=2, frame_interval=1)


def run(clip, seed=0, **kwargs):
    transform = ClipMultiCrop(global_transforms=GLOBAL, local_transforms=LOCAL, **kwargs)
    return transform(dict(clip=clip, rng=np.random.default_rng(seed), fps=5.0))


def test_one_global_and_six_local_views(clip):
    before = clip.copy()
    results = run(clip)
    assert set(results) == {'global_clip', 'local_clips', 'rng', 'fps'}
    assert results['global_clip'].shape == (4, 32, 32, 3)
    assert [view.shape for view in results['local_clips']] == [(4, 16, 16, 3)] * 6
    assert len({view.tobytes() for view in results['local_clips']}) == 6
    np.testing.assert_array_equal(clip, before)


def test_two_global_views(clip):
    results = run(clip, num_global_views=2, num_local_views=1)
    (extra,) = results['extra_global_clips']
    assert extra.shape == results['global_clip'].shape
    assert (extra != results['global_clip']).any()


def test_second_global_view_of_its_own(clip):
    extra = [dict(type='ClipResize', size=24)]
    results = run(clip, num_global_views=2, extra_global_transforms=extra)
    assert results['extra_global_clips'][0].shape == (4, 24, 24, 3)


def test_no_local_views(clip):
    assert run(clip, num_local_views=0)['local_clips'] == []


def test_same_generator_same_views(clip):
    np.testing.assert_array_equal(run(clip, 1)['local_clips'], run(clip, 1)['local_clips'])
    assert (run(clip, 1)['global_clip'] != run(clip, 2)['global_clip']).any()


def test_a_view_does_not_depend_on_what_others_draw(clip):
    few, many = run(clip, num_local_views=2), run(clip, num_local_views=6)
    np.testing.assert_array_equal(few['global_clip'], many['global_clip'])
    np.testing.assert_array_equal(few['local_clips'][1], many['local_clips'][1])


@pytest.mark.parametrize(
    'kwargs, word',
    [
        (dict(num_global_views=3), 'num_global_views'),
        (dict(num_local_views=-1), 'num_local_views'),
        (dict(extra_global_transforms=[]), 'extra_global_transforms'),
    ],
)
def test_impossible_views(kwargs, word):
    with pytest.raises(ValueError, match=word):
        ClipMultiCrop(GLOBAL, LOCAL, **kwargs)


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


def test_every_repeat_says_what_could_not_be_read(video):
    results = SampleClip(clip_len=2, frame_interval=1)(results_of(video))
    results['decode_failures'] = [
        dict(path='b.mp4', reason='bad', replaced=True, quarantined=False)
    ]
    samples = RepeatAugment(AUGMENT, num_repeats=3)(results)
    told = [sample['data_samples'].decode_failures for sample in samples]
    assert told == [results['decode_failures']] * 3


def test_impossible_repeats():
    with pytest.raises(ValueError, match='num_repeats'):
        RepeatAugment(AUGMENT, num_repeats=0)
