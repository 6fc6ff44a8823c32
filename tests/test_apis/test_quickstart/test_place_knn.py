"""The k-NN task that a video gives by itself."""

import numpy as np
import pytest
import torch

from mmvidssl.apis.quickstart.place_knn import (
    NUM_DRAWS,
    NUM_PLACES,
    PlaceKNN,
    cut_window,
    draw_places,
    make_crops,
)
from mmvidssl.visualization import write_video


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Textures, coarse enough to survive compression; brighter as time goes on."""
    rng = np.random.default_rng(0)
    textures = rng.integers(0, 120, (NUM_PLACES, 8, 12, 3)).repeat(8, axis=1).repeat(8, axis=2)
    frames = textures.astype(np.uint8).repeat(10, axis=0) + np.uint8(3) * np.tile(
        np.arange(10, dtype=np.uint8), NUM_PLACES
    ).reshape(-1, 1, 1, 1)
    path = tmp_path_factory.mktemp('knn') / 'textures.mp4'
    write_video(path, frames, fps=10)
    return path


def test_task_is_the_same_each_time_and_not_solved_by_pixels(video):
    task, again = (PlaceKNN(video, crop_size=32, num_crops=90) for _ in range(2))
    assert len(task.draws) == NUM_DRAWS
    for draw, same in zip(task.draws, again.draws, strict=True):
        assert draw.bank.shape == draw.held_out.shape == (90, 32, 32, 3)
        assert draw.labels.bincount().tolist() == [10] * NUM_PLACES
        np.testing.assert_array_equal(draw.bank, same.bank)
    assert (task.draws[0].bank != task.draws[1].bank).any()
    report = task.compare(0.3, 0.4)
    assert (report['before'], report['after'], report['chance']) == (0.3, 0.4, 1 / NUM_PLACES)
    assert 0 < report['pixels'] < 0.3
    assert '450 mirrored random crops' in report['measured'] and '1 of 9' in report['measured']


def test_accuracy_is_one_for_features_that_know_the_answer(video):
    task = PlaceKNN(video, crop_size=32, num_crops=90)
    answers = torch.nn.functional.one_hot(task.draws[0].labels).float()
    assert task.accuracy(lambda crops: answers) == 1.0
    halves = iter([answers, answers.roll(10, dims=0)] * NUM_DRAWS)
    assert task.accuracy(lambda crops: next(halves)) == 0.0


@pytest.mark.parametrize('fps', [10, 100])
@pytest.mark.parametrize('cut', [slice(0, 4), slice(7, 10)], ids=['before', 'after'])
def test_held_out_crops_are_of_another_frame_of_the_same_shot(tmp_path, cut, fps):
    """Places of ten frames: stripes, flat in the middle, beside a cut to white."""
    stripes = np.uint8(104) + np.uint8(16) * (np.arange(96, dtype=np.uint8)[:, None] // 8 % 2)
    place = np.zeros((10, 64, 96, 3), np.uint8) + stripes
    place[cut], place[5] = 250, 112
    write_video(tmp_path / 'cuts.mp4', np.tile(place, (NUM_PLACES, 1, 1, 1)), fps=fps)
    task = PlaceKNN(tmp_path / 'cuts.mp4', crop_size=32, num_crops=18)
    assert task.away == pytest.approx(1 / 3 if fps == 10 else 10 / 3 / fps)
    for draw in task.draws:
        assert draw.bank.std(axis=(1, 2)).max() < 1
        assert draw.held_out.std(axis=(1, 2)).mean() > 2


def test_each_frame_gives_another_window_of_a_grid():
    y, x = np.mgrid[:100, :200]
    frame = np.stack([y, x, 0 * y], axis=-1).astype(np.uint8)
    windows = [cut_window(frame, position) for position in range(NUM_PLACES)]
    assert all(window.shape == (60, 120, 3) for window in windows)
    corners = [window[0, 0, :2].tolist() for window in windows]
    assert corners == [[top, left] for top in (0, 20, 40) for left in (0, 40, 80)]
    flat = np.arange(NUM_PLACES, dtype=np.uint8).repeat(100 * 200 * 3).reshape(-1, 100, 200, 3)
    places = draw_places(flat * 20 + 40, flat * 20 + 40, crop_size=16, num_crops=18, seed=0)
    assert places.labels.tolist() == [n for n in range(NUM_PLACES) for _ in range(2)]


@pytest.mark.parametrize('mirror', [False, True])
def test_held_out_crops_are_mirrored(mirror):
    ramp = np.tile(np.arange(60, 180, dtype=np.uint8)[:, None], (80, 1, 3))
    crops = make_crops(ramp, 20, 32, np.random.default_rng(0), mirror)
    slopes = crops[..., -8:, :].mean(axis=(1, 2, 3)) - crops[..., :8, :].mean(axis=(1, 2, 3))
    assert (slopes < 0).all() if mirror else (slopes > 0).all()


def test_too_few_frames_are_refused_by_name(tmp_path):
    write_video(tmp_path / 'short.mp4', np.zeros((8, 32, 32, 3), np.uint8), fps=10)
    with pytest.raises(ValueError, match='short.mp4 is too short: 8'):
        PlaceKNN(tmp_path / 'short.mp4', crop_size=16)
