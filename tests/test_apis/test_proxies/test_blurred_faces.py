"""Faces that a detector misses are blurred where they may be, and counted once."""

import functools
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mmvidssl.apis import BlurSettings
from mmvidssl.apis.proxies.one_video import choose_frames
from tests.utils_blur import blur

PLACES = {
    'in a straight line': ([[0, 2, 4, 6, 8]], [(0, 2)]),
    'missed twice': ([[0, 2, 4, 6, 8]], [(0, 1), (0, 2)]),
    'a fast one comes beside': ([[12, 8.5, 5, 2, 2], [0, 0, 0, 0, 0]], [(1, 3), (1, 4)]),
    'beside another': ([[2, 2, 2, 2, 2], [0, 0, 0, 0, 0]], [(0, 1)]),
    'behind another': ([[0, 2, 4, 6, 8], [2, 4, 6, 8, 10]], [(0, 2)]),
    'two that cross': ([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]], [(0, 2), (1, 2)]),
    'two that cross fast': ([[0, 2.8, 5.6, 8.4, 11.2], [11.2, 8.4, 5.6, 2.8, 0]], [(0, 2), (1, 2)]),
    'another comes where it was': ([[1, 3, 5, 7, 9], [1.7, 1.3, 0.9, 0.5, 0.1]], [(0, 1)]),
    'another stops where it was': ([[2, 4, 6, 8, 10], [0.5, 2.3, 2.3, 2.3, 2.3]], [(0, 1)]),
    'at first': ([[3, 3, 3, 4, 5]], [(0, 0), (0, 1)]),
    'at last': ([[2, 3, 4, 4, 4], [6, 6, 6, 6, 6]], [(0, 3), (0, 4)]),
}


@pytest.mark.parametrize('name', PLACES)
@pytest.mark.parametrize('size', [12, 30])
def test_missed_faces_are_blurred(name, size, monkeypatch):
    """Faces at places in their own sizes, with those that are missed in which frame."""
    places, missed = PLACES[name]
    assert min_covered(places, missed, np.arange(5) * 0.25025, size, monkeypatch) > 0.95


def test_between_faces_that_stand_side_by_side_nothing_is_blurred(monkeypatch):
    stand = [[10, 10, 30, 30, 0.9], [60, 10, 80, 30, 0.9]]
    frames = np.random.default_rng(0).integers(0, 256, (5, 40, 90, 3), dtype=np.uint8)
    changed, _ = blur(frames, np.arange(5) / 4, set_boxes(monkeypatch, [stand] * 5))
    assert changed[:, 10:30, 10:30].mean() > 0.95 and not changed[:, :, 36:54].any()


@pytest.mark.parametrize('speed, missed', [(0, [0]), (0, [3]), (1.2, [3]), (1.2, [8, 9])])
def test_missed_faces_are_blurred_at_variable_rates(speed, missed, monkeypatch):
    """One frame a second, from 8 s on four, which is the median."""
    times = np.concatenate([np.arange(8), 8 + np.arange(40) / 4])
    places, missed = speed * times.clip(0, 9), [(0, k) for k in missed]
    assert min_covered([places], missed, times, 30, monkeypatch) > 0.95


def min_covered(places, missed, times, size, monkeypatch):
    """The least share of a face that is blurred, of all faces in all frames."""
    centres = 40 + size * np.array(places, float)
    boxes = np.stack([centres - size / 2, 0 * centres + 20, centres + size / 2], axis=-1)
    boxes = np.concatenate([boxes, boxes[..., 1:2] + size, 0 * boxes[..., :1] + 0.9], axis=-1)
    shape = (len(times), 64, 480, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = [
        [boxes[face, k] for face in range(len(places)) if (face, k) not in missed]
        for k in range(len(times))
    ]
    changed, _ = blur(frames, times, set_boxes(monkeypatch, found))
    return min(
        frame[y1:y2, x1:x2].mean()
        for face in boxes
        for frame, (x1, y1, x2, y2) in zip(changed, face[:, :4].astype(int), strict=True)
    )


def set_boxes(monkeypatch, *found, **settings):
    """One detector for each list of boxes by frame."""
    modules = {f'my_detector_{k}': iter(boxes) for k, boxes in enumerate(found)}
    for name, boxes in modules.items():
        build = functools.partial(
            lambda boxes, _: lambda frame: np.reshape(next(boxes), (-1, 5)), boxes
        )
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(build=build))
    return BlurSettings(detectors=tuple(f'{name}:build' for name in modules), **settings)


@pytest.mark.parametrize('seed', range(3))
def test_nothing_uncovers_what_boxes_of_near_frames_cover(seed, monkeypatch):
    """Whatever is found where: blurred with all that lies within the reach in between."""
    rng = np.random.default_rng(seed)
    times = np.arange(640) * 1001 / 60000
    times = times[choose_frames(times, 4)]
    found = []
    for _ in range(2):
        starts = rng.uniform(0, (160, 90), (len(times), 3, 2))
        ends = starts + rng.uniform(4, 24, starts.shape)
        boxes = np.concatenate([starts, ends, rng.random((*starts.shape[:2], 1))], axis=-1)
        found.append([frame[rng.random(3) < 0.6] for frame in boxes])
    frames = rng.integers(0, 256, (len(times), 100, 170, 3), dtype=np.uint8)
    changed, blurrer = blur(frames, times, set_boxes(monkeypatch, *found))
    sure = [np.concatenate(boxes) for boxes in zip(*found, strict=True)]
    sure = [boxes[boxes[:, 4] >= 0.2] for boxes in sure]
    for number, frame in enumerate(changed):
        for boxes in sure[max(0, number - 2) : number + 3]:
            for x1, y1, x2, y2 in boxes[:, :4].astype(int):
                assert frame[y1 + 1 : y2, x1 + 1 : x2].mean() > 0.98
    assert blurrer.report()['boxes_detected'] == sum(map(len, sure))


def test_faces_are_counted_as_they_come(monkeypatch):
    """One that stays, misses included; one that runs by; none in the second minute; one again."""
    stays, found = [10, 10, 30, 30, 0.9], []
    for number in range(4 * 150):
        runs = [40 + 30 * (number - 85), 10, 60 + 30 * (number - 85), 30, 0.9]
        boxes = [stays] * (number < 200 and number % 7 != 3) + [runs] * (85 <= number < 95)
        found.append(np.reshape(boxes + [stays] * (number == 599), (-1, 5)))
    frames = np.zeros((len(found), 40, 400, 3), np.uint8)
    _, blurrer = blur(frames, 5 + np.arange(len(found)) / 4, set_boxes(monkeypatch, found))
    assert blurrer.report()['new_faces_per_minute'] == [2, 0, 1]
