import shutil

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from mmvidssl.datasets import ClipIndex, DecodeClip, LongVideoDataset
from mmvidssl.datasets.readers import (
    EmptyVideoError,
    PyAVReader,
    ShortVideoError,
    UndecodableVideoError,
    VideoError,
    VideoNotFoundError,
)
from mmvidssl.registry import VIDEO_READERS
from tests.utils_video import read_frame_number, write_video


def build(*videos, **kwargs):
    settings = dict(clip_len=3, frame_interval=1.0, seed=0) | kwargs
    return LongVideoDataset(videos=[str(v) for v in videos], **settings)


def test_one_sample_per_clip_start_over_all_videos(video, short_video):
    dataset = build(video, short_video)
    assert len(dataset) == 80 + 20
    starts = [
        (s['video_index'], s['frame_inds'][0]) for s in map(dataset.get_data_info, range(100))
    ]
    assert starts == [(0, i) for i in range(80)] + [(1, i) for i in range(20)]


def test_a_sample_tells_its_clip(video, short_video):
    info = build(video, short_video).get_data_info(85)
    assert info['video_path'] == str(short_video)
    assert info['frame_inds'].tolist() == [5, 15, 25]
    assert info['fps'] == pytest.approx(10)
    assert info['reader'] == dict(type='PyAVReader')


def test_no_clip_runs_past_its_video(video, short_video):
    dataset = build(video, short_video)
    assert dataset.get_data_info(79)['frame_inds'].tolist() == [79, 89, 99]
    assert dataset.get_data_info(99)['frame_inds'].tolist() == [19, 29, 39]


def test_start_stride(video, short_video):
    dataset = build(video, short_video, start_stride=7)
    assert len(dataset) == 12 + 3
    starts = [dataset.get_data_info(i)['frame_inds'][0] for i in range(15)]
    assert starts == [*range(0, 80, 7), *range(0, 20, 7)]


def test_interval_in_frames(video):
    dataset = build(video, frame_interval=4, interval_unit='frames')
    assert len(dataset) == 92
    assert dataset.get_data_info(2)['frame_inds'].tolist() == [2, 6, 10]


def test_seconds_hold_whatever_the_frame_rate(tmp_path):
    slow_then_fast = [i / 5 for i in range(15)] + [3 + i / 20 for i in range(60)]
    dataset = build(write_video(tmp_path / 'v.mp4', timestamps=slow_then_fast))
    assert dataset.get_data_info(10)['frame_inds'].tolist() == [10, 15, 35]  # 2 s, 3 s, 4 s


def test_decoded_frames_are_the_ones_announced(video, short_video):
    dataset = build(video, short_video, pipeline=[dict(type='DecodeClip')])
    for index in (0, 79, 80, 99):
        sample = dataset[index]
        assert [read_frame_number(f) for f in sample['clip']] == sample['frame_inds'].tolist()


def test_annotation_file(video, short_video, tmp_path):
    (tmp_path / 'videos').mkdir()
    shutil.copy(video, tmp_path / 'videos' / 'a.mp4')
    shutil.copy(short_video, tmp_path / 'videos' / 'b.mp4')
    (tmp_path / 'list.txt').write_text('a.mp4\n\nb.mp4\n')
    dataset = LongVideoDataset(
        ann_file='list.txt',
        data_root=str(tmp_path),
        data_prefix=dict(video='videos'),
        clip_len=3,
    )
    assert len(dataset) == 100


def test_randomness_is_a_function_of_seed_index_and_draw(video):
    def draws(seed, index, draw):
        return tuple(build(video, seed=seed)[ClipIndex(index, draw)]['rng'].random(4))

    assert draws(0, 1, 2) == draws(0, 1, 2)
    assert (
        len({draws(0, 1, 2), draws(1, 1, 2), draws(0, 2, 2), draws(0, 1, 3), draws(0, 2, 1)}) == 5
    )


def test_plain_index_draws_from_torch(video):
    dataset = build(video)
    torch.manual_seed(0)
    first, second = dataset[3]['rng'].random(), dataset[3]['rng'].random()
    torch.manual_seed(0)
    assert dataset[3]['rng'].random() == first != second


def test_plain_index_is_fixed_in_test_mode(video):
    dataset = build(video, test_mode=True)
    assert dataset[3]['rng'].random() == dataset[ClipIndex(3, 0)]['rng'].random()


def test_without_a_seed_it_follows_the_global_one(video):
    np.random.seed(5)  # noqa: NPY002  MMEngine's set_random_seed does this
    first = build(video, seed=None).seed
    np.random.seed(5)  # noqa: NPY002
    assert build(video, seed=None).seed == first


@pytest.mark.parametrize('index', [100, -101])
def test_index_outside(video, short_video, index):
    with pytest.raises(IndexError, match='100 samples'):
        build(video, short_video)[index]


def test_negative_index_counts_from_the_end(video):
    assert build(video).get_data_info(-1)['frame_inds'].tolist() == [79, 89, 99]


def test_too_short_a_video(video, short_video):
    with pytest.raises(ValueError, match=r'b\.mp4 .*4\.00 s.* clip_len=4'):
        build(video, short_video, clip_len=5)


def test_broken_files_are_named_before_training(video, tmp_path):
    (tmp_path / 'zero.mp4').touch()
    (tmp_path / 'text.mp4').write_text('no video\n' * 50)
    for name, error in [
        ('gone.mp4', VideoNotFoundError),
        ('zero.mp4', EmptyVideoError),
        ('text.mp4', UndecodableVideoError),
    ]:
        with pytest.raises(error, match=name.replace('.', r'\.')):
            build(video, tmp_path / name)


@pytest.fixture
def bad(tmp_path):
    """A file of each kind of bad."""
    (tmp_path / 'zero.mp4').touch()
    (tmp_path / 'text.mp4').write_text('no video\n' * 50)
    short = write_video(tmp_path / 'short.mp4', num_frames=2)
    return [tmp_path / 'zero.mp4', tmp_path / 'text.mp4', short, tmp_path / 'gone.mp4']


def test_all_bad_videos_are_named_in_one_error(video, short_video, bad):
    with pytest.raises(VideoError, match='4 of 6 videos') as info:
        build(bad[0], video, *bad[1:3], short_video, bad[3])
    lines = str(info.value).splitlines()[1:]
    assert [path.name in line for path, line in zip(bad, lines, strict=True)] == [True] * 4
    assert type(info.value) is VideoError
    with pytest.raises(ShortVideoError, match='2 of 2'):  # of the kind that all are of
        build(bad[2], short_video, clip_len=5)


def test_bad_videos_are_skipped_if_asked(video, short_video, bad, warned):
    dataset = build(bad[0], video, *bad[1:], short_video, on_bad='skip')
    good = build(video, short_video)
    assert len(dataset) == len(good) == 100
    assert dataset.fingerprint() == good.fingerprint()
    for index in (0, 79, 80, 99):
        found, expected = dataset.get_data_info(index), good.get_data_info(index)
        assert found['video_path'] == expected['video_path']
        assert found['frame_inds'].tolist() == expected['frame_inds'].tolist()
    (message,) = warned
    assert '4 of 6' in message and all(str(path) in message for path in bad)
    with pytest.raises(VideoError, match=r'no file is left: 4 of 4'):
        build(*bad, on_bad='skip')
    with pytest.raises(ValueError, match='on_bad'):
        build(video, on_bad='ignore')


def _build_in_one_of_two(rank, folder):
    """Each of two processes cannot read another of three videos."""

    class HalfBlindReader(PyAVReader):
        def _build(self):
            if self.path.endswith(f'{rank}.mp4'):
                raise UndecodableVideoError(f'{self.path} cannot be read here')
            return super()._build()

    VIDEO_READERS.register_module(module=HalfBlindReader)
    torch.distributed.init_process_group('gloo', f'file://{folder}/meet', rank=rank, world_size=2)
    reader = dict(type='HalfBlindReader')
    dataset = build(*(folder / f'{n}.mp4' for n in range(3)), reader=reader, on_bad='skip')
    (folder / f'{rank}.txt').write_text(dataset.get_data_info(len(dataset) - 1)['video_path'])
    torch.distributed.destroy_process_group()
    assert len(dataset) == 20


def test_all_processes_skip_the_same_videos(short_video, tmp_path):
    for number in range(3):
        shutil.copy(short_video, tmp_path / f'{number}.mp4')
    mp.start_processes(_build_in_one_of_two, (tmp_path,), nprocs=2, start_method='fork')
    said = {(tmp_path / f'{rank}.txt').read_text() for rank in range(2)}
    assert said == {str(tmp_path / '2.mp4')}


def test_lazy_init_leaves_the_files_alone(tmp_path):
    dataset = build(tmp_path / 'gone.mp4', lazy_init=True)
    with pytest.raises(VideoNotFoundError):
        len(dataset)


def test_no_reader_is_open_after_building(video):
    dataset = build(video, pipeline=[dict(type='DecodeClip')])
    (decode,) = dataset.pipeline.transforms
    assert isinstance(decode, DecodeClip)
    assert decode.readers._decoder is None


@pytest.mark.parametrize(
    'kwargs, word',
    [
        (dict(), 'either ann_file or videos'),
        (dict(videos=['a'], ann_file='b'), 'either ann_file or videos'),
        (dict(videos=[]), 'no video is listed'),
        (dict(videos=['a'], start_stride=0), 'start_stride'),
        (dict(videos=['a'], clip_len=0), 'clip_len'),
    ],
)
def test_impossible_settings(kwargs, word):
    with pytest.raises(ValueError, match=word):
        LongVideoDataset(**kwargs)


def test_missing_annotation_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'list\.txt'):
        LongVideoDataset(ann_file='list.txt', data_root=str(tmp_path))


def test_subsets_are_refused(video):
    with pytest.raises(NotImplementedError, match='num_samples_per_epoch'):
        build(video).get_subset_(3)
    with pytest.raises(TypeError, match='indices'):
        build(video, indices=3)
