import numpy as np
import pytest

from mmvidssl.datasets.transforms import ClipMultiCrop

GLOBAL = [dict(type='ClipRandomResizedCrop', size=32), dict(type='ClipColorJitter', prob=1.0)]
LOCAL = [dict(type='ClipRandomResizedCrop', size=16, scale=(0.05, 0.4), per_frame=True)]


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
def test_impossible_settings(kwargs, word):
    with pytest.raises(ValueError, match=word):
        ClipMultiCrop(GLOBAL, LOCAL, **kwargs)
