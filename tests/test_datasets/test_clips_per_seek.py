import pytest
import torch
from torch.utils.data import DataLoader

from mmvidssl.datasets import ClipIndex, ClipSampler, LongVideoDataset, flat_collate
from mmvidssl.datasets.readers import PyAVReader
from tests.utils_video import read_frame_number

PIPELINE = [
    dict(type='DecodeClip'),
    dict(type='ClipRandomResizedCrop', size=32),
    dict(type='PackClipInputs'),
]


def build(*videos, **kwargs):
    """80 starts of the video of 100 frames at 10 a second, 20 of that of 40."""
    settings = dict(clip_len=3, frame_interval=1.0, seed=0) | kwargs
    return LongVideoDataset(videos=[str(v) for v in videos], **settings)


def starts_of(dataset, index):
    return [int(clip['frame_inds'][0]) for clip in dataset.get_data_info(index)['clips']]


def decoding():
    return dict(pipeline=[dict(type='DecodeClip', timeout=None)])  # in this process, to be watched


def test_clips_interleave_by_default(video, short_video):
    dataset = build(video, short_video, clips_per_seek=4, **decoding())
    assert len(dataset) == 25
    # 1 s / 4 clips is two or three frames: two.
    assert starts_of(dataset, 0) == [0, 2, 4, 6]
    assert starts_of(dataset, 1) == [1, 3, 5, 7]
    assert starts_of(dataset, 20) == [0, 2, 4, 6]
    info = dataset.get_data_info(20)
    assert info['video_path'] == str(short_video)
    assert info['frame_inds'].tolist() == [i + j for i in (0, 10, 20) for j in (0, 2, 4, 6)]


@pytest.mark.parametrize(
    'kwargs, expected',
    [
        (dict(clip_spacing=2.0), [0, 20, 40]),
        (dict(clip_spacing=2.0, start_stride=4), [0, 20, 40]),
        (dict(clip_spacing=0.001), [0, 1, 2]),
        (dict(frame_interval=9, interval_unit='frames'), [0, 3, 6]),
    ],
)
def test_spacing_in_seconds(video, kwargs, expected):
    assert starts_of(build(video, clips_per_seek=3, **decoding(), **kwargs), 0) == expected


def test_every_clip_is_in_one_group(video, short_video):
    dataset = build(video, short_video, clips_per_seek=3, **decoding())
    seen = [
        (dataset.get_data_info(i)['video_index'], s)
        for i in range(32)
        for s in starts_of(dataset, i)
    ]
    assert len(dataset) == 32
    assert sorted(seen) == [(0, i) for i in range(78)] + [(1, i) for i in range(18)]


def test_a_clip_is_the_sample_it_would_be_alone(video, short_video):
    alone = build(video, short_video, pipeline=PIPELINE)
    grouped = build(video, short_video, pipeline=PIPELINE, clips_per_seek=4)
    for index in (3, 24):
        samples = grouped[ClipIndex(index, 5)]
        offset = 80 if index >= 20 else 0
        assert len(samples) == 4
        for sample, start in zip(samples, starts_of(grouped, index), strict=True):
            same = alone[ClipIndex(offset + start, 5)]
            assert torch.equal(sample['inputs']['clip'], same['inputs']['clip'])
            assert sample['data_samples'].frame_inds == same['data_samples'].frame_inds
            assert sample['data_samples'].video_path == same['data_samples'].video_path


def test_frames_are_decoded_in_one_call_in_order_and_once(video, monkeypatch):
    asked = []
    get_frames = PyAVReader.get_frames

    def record(self, indices, *args, **kwargs):
        asked.append(list(indices))
        return get_frames(self, indices, *args, **kwargs)

    # Two seconds apart, neighbours share frames.
    dataset = build(video, clips_per_seek=3, clip_spacing=2.0, **decoding())
    monkeypatch.setattr(PyAVReader, 'get_frames', record)
    samples = dataset[0]
    assert asked == [[0, 10, 20, 30, 40, 50, 60]]
    numbers = [[read_frame_number(frame) for frame in sample['clip']] for sample in samples]
    assert numbers == [[0, 10, 20], [20, 30, 40], [40, 50, 60]]


def test_batches_are_flat_and_without_replacement(video):
    dataset = build(video, clips_per_seek=4, pipeline=PIPELINE)
    sampler = ClipSampler(dataset, seed=0)
    batches = list(DataLoader(dataset, 5, sampler=sampler, collate_fn=flat_collate))
    assert [len(batch['data_samples']) for batch in batches] == [20] * 4
    starts = [s.frame_inds[0] for batch in batches for s in batch['data_samples']]
    assert sorted(starts) == list(range(80))
    assert starts != sorted(starts)


def test_with_repeats_samples_stay_one_list(video):
    repeat = dict(type='RepeatAugment', transforms=PIPELINE[1:], num_repeats=2)
    samples = build(video, clips_per_seek=3, pipeline=[PIPELINE[0], repeat])[0]
    assert [s['data_samples'].frame_inds[0] for s in samples] == [0, 0, 3, 3, 6, 6]


@pytest.mark.parametrize('num_repeats', [1, 2])
def test_a_failure_replaces_all_clips_and_counts_once(video, short_video, tmp_path, num_repeats):
    path = tmp_path / 'v.mp4'
    path.write_bytes(short_video.read_bytes())
    repeat = dict(type='RepeatAugment', transforms=PIPELINE[1:], num_repeats=num_repeats)
    pipeline = [PIPELINE[0], repeat]
    dataset = build(video, path, clips_per_seek=4, pipeline=pipeline, quarantine_after=1)
    path.unlink()

    def failures_of(index):
        samples = dataset[ClipIndex(index, 0)]
        return [failure for s in samples for failure in s['data_samples'].decode_failures]

    first, again = failures_of(20), failures_of(21)
    later = 4 * num_repeats - 1
    assert [failure['times'] for failure in first] == [1] + [0] * later
    assert [failure['times'] for failure in again] == [0] * (later + 1)  # nothing was tried
    assert all(failure['replaced'] and failure['quarantined'] for failure in first + again)
    assert {failure['path'] for failure in first + again} == {str(path)}


def test_fingerprint_tells_groups_apart(video):
    options = [
        dict(),
        dict(clips_per_seek=2, **decoding()),
        dict(clips_per_seek=4, **decoding()),
        dict(clips_per_seek=4, clip_spacing=1.0, **decoding()),
    ]
    assert len({str(build(video, **kwargs).fingerprint()) for kwargs in options}) == 4


@pytest.mark.parametrize(
    'kwargs, word',
    [
        (dict(clips_per_seek=0), 'clips_per_seek'),
        (dict(clip_spacing=1.0), 'needs clips_per_seek above 1'),
        (dict(clips_per_seek=2, clip_spacing=0.0), 'positive'),
        (dict(clips_per_seek=2), 'begins with nothing'),
        (dict(clips_per_seek=2, pipeline=PIPELINE[1:]), 'begins with ClipRandomResizedCrop'),
        (dict(clips_per_seek=81, **decoding()), r'a\.mp4 has 80 clip starts'),
    ],
)
def test_impossible_settings(video, kwargs, word):
    with pytest.raises(ValueError, match=word):
        build(video, **kwargs)
