"""The k-NN task that a video gives by itself."""

import numpy as np
import pytest
import torch

from mmvidssl.apis.quickstart.moment_knn import (
    NUM_MOMENTS,
    make_crops,
    make_moment_knn,
)
from mmvidssl.visualization import write_video


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Ten textures, coarse enough to survive compression; brighter as time goes on."""
    rng = np.random.default_rng(0)
    textures = rng.integers(0, 120, (NUM_MOMENTS, 8, 12, 3)).repeat(8, axis=1).repeat(8, axis=2)
    frames = textures.astype(np.uint8).repeat(10, axis=0) + np.uint8(3) * np.tile(
        np.arange(10, dtype=np.uint8), NUM_MOMENTS
    ).reshape(-1, 1, 1, 1)
    path = tmp_path_factory.mktemp('knn') / 'textures.mp4'
    write_video(path, frames, fps=10)
    return path


def test_task_is_the_same_for_a_seed_and_not_solved_by_pixels(video):
    task = make_moment_knn(video, crop_size=32, num_crops=100, seed=3)
    again = make_moment_knn(video, crop_size=32, num_crops=100, seed=3)
    other = make_moment_knn(video, crop_size=32, num_crops=100, seed=4)
    assert task.bank.shape == task.held_out.shape == (100, 32, 32, 3)
    assert task.labels.bincount().tolist() == [10] * NUM_MOMENTS
    assert task.seconds == pytest.approx(10)
    np.testing.assert_array_equal(task.bank, again.bank)
    assert (task.bank != other.bank).any()
    report = task.compare(0.3, 0.4)
    assert (report['before'], report['after'], report['chance']) == (0.3, 0.4, 1 / NUM_MOMENTS)
    assert 0 < report['pixels'] < 0.3
    assert '100 mirrored random crops' in report['measured'] and '1 of 10' in report['measured']


def test_accuracy_is_one_for_features_that_know_the_answer(video):
    task = make_moment_knn(video, crop_size=32, num_crops=100)
    labels = torch.nn.functional.one_hot(task.labels).float()
    assert task.vote(labels, labels) == 1.0
    assert task.vote(labels, labels.roll(10, dims=0)) == 0.0


@pytest.mark.parametrize('mirror', [False, True])
def test_held_out_crops_are_mirrored(mirror):
    ramp = np.tile(np.arange(60, 180, dtype=np.uint8)[:, None], (80, 1, 3))
    crops = make_crops(ramp, 20, 32, np.random.default_rng(0), mirror)
    slopes = crops[..., -8:, :].mean(axis=(1, 2, 3)) - crops[..., :8, :].mean(axis=(1, 2, 3))
    assert (slopes < 0).all() if mirror else (slopes > 0).all()


def test_too_few_frames_are_refused_by_name(tmp_path):
    write_video(tmp_path / 'short.mp4', np.zeros((9, 32, 32, 3), np.uint8), fps=10)
    with pytest.raises(ValueError, match='short.mp4 is too short: 9'):
        make_moment_knn(tmp_path / 'short.mp4', crop_size=16)
