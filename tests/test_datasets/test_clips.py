import numpy as np
import pytest

from mmvidssl.datasets.clips import (
    check_clip_timing,
    clip_frame_inds,
    count_clip_starts,
    max_clip_len,
)

TEN_FPS = np.arange(100) / 10


def test_seconds_at_a_constant_rate():
    inds = clip_frame_inds(TEN_FPS, 3, 8, 1.0, 'seconds')
    assert inds.tolist() == [3, 13, 23, 33, 43, 53, 63, 73]
    assert inds.dtype == np.int64


def test_frames():
    assert clip_frame_inds(TEN_FPS, 3, 4, 7, 'frames').tolist() == [3, 10, 17, 24]


def test_nearest_frame_of_a_variable_rate_against_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(50):
        times = np.cumsum(rng.uniform(0.01, 0.5, size=80))
        count = count_clip_starts(times, 5, 0.7, 'seconds')
        for start in range(count):
            inds = clip_frame_inds(times, start, 5, 0.7, 'seconds')
            wanted = times[start] + 0.7 * np.arange(5)
            nearest = [np.abs(times - t).argmin() for t in wanted]
            assert inds.tolist() == nearest


@pytest.mark.parametrize('unit, interval', [('seconds', 1.0), ('frames', 10)])
def test_counts_the_starts_that_fit(unit, interval):
    count = count_clip_starts(TEN_FPS, 8, interval, unit)
    assert count == 30
    assert clip_frame_inds(TEN_FPS, count - 1, 8, interval, unit)[-1] == 99


def test_rounding_of_the_times_changes_no_count():
    times = (np.arange(10_000) / 60).astype(np.float32).astype(np.float64)
    assert count_clip_starts(times, 8, 1.0, 'seconds') == 10_000 - 420


@pytest.mark.parametrize('unit', ['seconds', 'frames'])
def test_longest_clip_fits_and_one_more_frame_does_not(unit):
    longest = max_clip_len(TEN_FPS, 3, unit)
    assert count_clip_starts(TEN_FPS, longest, 3, unit) > 0
    assert count_clip_starts(TEN_FPS, longest + 1, 3, unit) == 0


def test_single_frame_clips_and_videos():
    assert count_clip_starts(TEN_FPS, 1, 1.0, 'seconds') == 100
    assert count_clip_starts(np.zeros(1), 1, 1.0, 'seconds') == 1
    assert count_clip_starts(np.zeros(1), 2, 1.0, 'seconds') == 0
    assert clip_frame_inds(np.zeros(1), 0, 1, 1.0, 'seconds').tolist() == [0]


@pytest.mark.parametrize(
    'setting, word',
    [
        ((0, 1.0, 'seconds'), 'clip_len'),
        ((8, 0.0, 'seconds'), 'frame_interval'),
        ((8, 1.5, 'frames'), 'whole number'),
        ((8, 1.0, 'minutes'), 'interval_unit'),
    ],
)
def test_impossible_settings(setting, word):
    with pytest.raises(ValueError, match=word):
        check_clip_timing(*setting)
