"""The k-NN task that a video gives by itself."""

import numpy as np
import pytest
import torch

from mmvidssl.apis.quickstart.segment_knn import (
    BANK,
    HELD_OUT,
    NUM_PARTS,
    _spread,
    make_segment_knn,
)
from mmvidssl.visualization import write_video


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Five textures, coarse enough to survive compression; brighter as time goes on."""
    rng = np.random.default_rng(0)
    textures = rng.integers(0, 120, (NUM_PARTS, 8, 12, 3)).repeat(8, axis=1).repeat(8, axis=2)
    frames = textures.astype(np.uint8).repeat(20, axis=0) + np.uint8(3) * np.tile(
        np.arange(20, dtype=np.uint8), NUM_PARTS
    ).reshape(-1, 1, 1, 1)
    path = tmp_path_factory.mktemp('knn') / 'textures.mp4'
    write_video(path, frames, fps=10)
    return path


def test_task_is_the_same_for_a_seed_and_solvable_by_colour_only_in_part(video):
    task = make_segment_knn(video, crop_size=32, num_crops=100, seed=3)
    again = make_segment_knn(video, crop_size=32, num_crops=100, seed=3)
    other = make_segment_knn(video, crop_size=32, num_crops=100, seed=4)
    assert task.bank.shape == task.held_out.shape == (100, 32, 32, 3)
    assert task.labels.bincount().tolist() == [20] * NUM_PARTS
    assert task.seconds == pytest.approx(10)
    np.testing.assert_array_equal(task.bank, again.bank)
    assert (task.bank != other.bank).any()
    report = task.compare(0.3, 0.4)
    assert (report['before'], report['after'], report['chance']) == (0.3, 0.4, 1 / NUM_PARTS)
    assert 0.25 < report['pixels'] < 1.0
    assert '100 held-out random crops' in report['measured'] and '1 of 5' in report['measured']


def test_accuracy_is_one_for_features_that_know_the_answer(video):
    task = make_segment_knn(video, crop_size=32, num_crops=100)
    labels = torch.nn.functional.one_hot(task.labels).float()
    assert task.vote(labels, labels) == 1.0
    assert task.vote(labels, labels.roll(20, dims=0)) == 0.0


def test_bank_and_held_out_frames_lie_apart():
    bank, held_out = (_spread(100, 150, share) for share in (BANK, HELD_OUT))
    assert (bank[0], bank[-1], held_out[0], held_out[-1]) == (100, 119, 130, 149)
    assert len(bank) == len(held_out) == 8
    assert _spread(0, 5, BANK).tolist() == [0, 1]  # fewer, but different frames
    assert _spread(0, 5, HELD_OUT).tolist() == [3, 4]


def test_too_few_frames_are_refused_by_name(tmp_path):
    write_video(tmp_path / 'short.mp4', np.zeros((12, 32, 32, 3), np.uint8), fps=10)
    with pytest.raises(ValueError, match='short.mp4 is too short: 12'):
        make_segment_knn(tmp_path / 'short.mp4', crop_size=16)
