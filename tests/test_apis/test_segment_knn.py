"""The k-NN task that a video gives by itself."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmvidssl.apis.segment_knn import (
    BANK,
    HELD_OUT,
    MAX_SEGMENTS,
    Segment,
    choose_segments,
    make_segment_knn,
)
from mmvidssl.visualization import write_video


def texture_video(path, num_frames, seed):
    """A texture of its own, coarse enough to survive compression; brighter as time goes on."""
    rng = np.random.default_rng(seed)
    texture = np.kron(rng.integers(0, 120, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    write_video(path, np.stack([texture + np.uint8(3 * i) for i in range(num_frames)]), fps=10)
    return path, num_frames


def test_bank_and_held_out_frames_lie_apart():
    segment = Segment(Path('a.mp4'), 100, 150)
    bank, held_out = segment.frames(BANK, 8), segment.frames(HELD_OUT, 8)
    assert bank[0] == 100 and bank[-1] == 119 and held_out[0] == 130 and held_out[-1] == 149
    assert len(bank) == len(held_out) == 8


def test_a_short_segment_gives_fewer_but_different_frames():
    segment = Segment(Path('a.mp4'), 0, 5)
    assert segment.frames(BANK, 8).tolist() == [0, 1]
    assert segment.frames(HELD_OUT, 8).tolist() == [3, 4]


def test_one_file_is_halved_until_there_are_four_segments():
    path = Path('a.mp4')
    assert choose_segments([(path, 101)]) == [
        Segment(path, 0, 25),
        Segment(path, 25, 50),
        Segment(path, 50, 75),
        Segment(path, 75, 101),
    ]


def test_many_files_are_thinned_evenly():
    files = [(Path(f'{i}.mp4'), 30) for i in range(40)]
    chosen = choose_segments(files)
    assert len(chosen) == MAX_SEGMENTS
    assert chosen[0].video == files[0][0] and chosen[-1].video == files[-1][0]


def test_too_few_frames_are_refused_by_name():
    with pytest.raises(ValueError, match='short.mp4 is too short'):
        choose_segments([(Path('short.mp4'), 12)])


def test_task_is_the_same_for_a_seed_and_solvable_by_colour_only_in_part(tmp_path):
    videos = [texture_video(tmp_path / f'{i}.mp4', 20, i) for i in range(4)]
    task = make_segment_knn(videos, crop_size=32, num_crops=80, seed=3)
    again = make_segment_knn(videos, crop_size=32, num_crops=80, seed=3)
    other = make_segment_knn(videos, crop_size=32, num_crops=80, seed=4)
    assert task.bank.shape == task.held_out.shape == (80, 32, 32, 3)
    assert task.bank_labels.bincount().tolist() == [20] * 4
    np.testing.assert_array_equal(task.bank, again.bank)
    assert (task.bank != other.bank).any()
    assert 0.25 < task.pixel_accuracy() < 1.0
    assert '80 held-out random crops' in task.describe() and '1 of 4' in task.describe()


def test_accuracy_is_one_for_features_that_know_the_answer(tmp_path):
    videos = [texture_video(tmp_path / f'{i}.mp4', 20, i) for i in range(4)]
    task = make_segment_knn(videos, crop_size=32, num_crops=80)
    labels = torch.nn.functional.one_hot(task.bank_labels).float()
    assert task._accuracy(labels, labels) == 1.0
    assert task._accuracy(labels, labels.roll(20, dims=0)) == 0.0
