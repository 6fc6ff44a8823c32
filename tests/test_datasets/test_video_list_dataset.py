import shutil

import numpy as np
import pytest
import torch

from mmvidssl.datasets import ClipIndex, PyAVReader, VideoListDataset
from mmvidssl.datasets.readers import UndecodableVideoError, VideoError
from tests.utils_video import read_frame_number


@pytest.fixture
def folder(video, short_video, tmp_path):
    """Two videos, b.mp4 and in/a.mp4, and a list with labels."""
    (tmp_path / 'videos' / 'in').mkdir(parents=True)
    shutil.copy(video, tmp_path / 'videos' / 'in' / 'a.mp4')
    shutil.copy(short_video, tmp_path / 'videos' / 'b.mp4')
    (tmp_path / 'list.txt').write_text('in/a.mp4 7\nb.mp4 2\n')
    return tmp_path


def listed(folder, **kwargs):
    settings = dict(ann_file='list.txt', data_prefix=dict(video='videos'), seed=0) | kwargs
    return VideoListDataset(data_root=str(folder), **settings)


def test_one_sample_per_line(folder):
    dataset = listed(folder)
    assert len(dataset) == 2
    info = dataset.get_data_info(0)
    assert info['video_path'] == str(folder / 'videos' / 'in' / 'a.mp4')
    assert info['label'] == 7
    assert info['reader'] == dict(type='PyAVReader')
    assert isinstance(info['rng'], np.random.Generator)
    assert dataset.get_data_info(-1)['label'] == 2


def test_a_folder_without_a_list(folder):
    dataset = VideoListDataset(data_root=str(folder / 'videos'))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [info['video_path'] for info in infos] == [
        str(folder / 'videos' / name) for name in ('b.mp4', 'in/a.mp4')
    ]
    assert not any('label' in info for info in infos)
    assert len(listed(folder, ann_file='')) == 2
    with pytest.raises(ValueError, match=r'no file .*\.mkv'):
        VideoListDataset(data_root=str(folder), suffixes=['.mkv'])


def test_absolute_paths_and_commas(folder, tmp_path):
    (tmp_path / 'train.csv').write_text(f'{folder}/videos/b.mp4,4\n')
    info = VideoListDataset(ann_file=str(tmp_path / 'train.csv')).get_data_info(0)
    assert (info['video_path'], info['label']) == (f'{folder}/videos/b.mp4', 4)


def test_no_file_is_opened_when_it_is_built(folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('opened')

    monkeypatch.setattr(PyAVReader, '__init__', refuse)
    dataset = listed(folder, pipeline=[dict(type='SampleClip', clip_len=2)])
    assert len(dataset) == 2
    with pytest.raises(AssertionError, match='opened'):
        dataset[0]


def test_missing_files_are_counted_and_named(folder):
    names = ['b.mp4', *(f'gone{i}.mp4' for i in range(5))]
    (folder / 'list.txt').write_text('\n'.join(names))
    with pytest.raises(FileNotFoundError) as error:
        listed(folder)
    message = str(error.value)
    assert '5 of the 6 videos' in message and str(folder / 'list.txt') in message
    assert 'gone0.mp4' in message and 'gone2.mp4 and 2 more' in message
    assert 'gone3.mp4' not in message and 'data_prefix=dict(video=' in message


def test_missing_files_are_skipped_if_asked(folder, warned):
    (folder / 'list.txt').write_text('gone.mp4 1\nb.mp4 2\nin/gone.mp4 3\n')
    dataset = listed(folder, on_bad='skip')
    assert [info['label'] for info in map(dataset.get_data_info, range(len(dataset)))] == [2]
    (message,) = warned
    assert '2 of 3' in message and str(folder / 'videos' / 'in' / 'gone.mp4') in message
    (folder / 'list.txt').write_text('gone.mp4\n')
    with pytest.raises(VideoError, match=r'gone\.mp4'):
        listed(folder, on_bad='skip')
    (folder / 'list.txt').write_text('b.mp4 2\n')
    assert len(listed(folder, on_bad='skip')) == len(warned) == 1
    with pytest.raises(ValueError, match="got 'ignore'"):
        listed(folder, on_bad='ignore')


def test_a_broken_file_is_named_when_it_is_read(folder):
    (folder / 'videos' / 'b.mp4').write_text('no video\n' * 50)
    dataset = listed(folder, pipeline=[dict(type='SampleClip', clip_len=2)], quarantine_after=None)
    assert len(dataset[0]['clip']) == 2
    with pytest.raises(UndecodableVideoError, match=r'b\.mp4'):
        dataset[1]


def test_randomness_is_a_function_of_seed_index_and_draw(folder):
    def draws(seed, index, draw):
        return tuple(listed(folder, seed=seed)[ClipIndex(index, draw)]['rng'].random(4))

    assert draws(0, 1, 2) == draws(0, 1, 2)
    others = [draws(0, 1, 2), draws(1, 1, 2), draws(0, 0, 2), draws(0, 1, 3), draws(0, 0, 1)]
    assert len(set(others)) == 5


def test_plain_index_draws_from_torch_unless_in_test_mode(folder):
    dataset = listed(folder)
    torch.manual_seed(0)
    first, second = dataset[1]['rng'].random(), dataset[1]['rng'].random()
    torch.manual_seed(0)
    assert dataset[1]['rng'].random() == first != second
    fixed = listed(folder, test_mode=True)
    assert fixed[1]['rng'].random() == fixed[ClipIndex(1, 0)]['rng'].random()


def test_decoded_frames_are_the_ones_announced(folder):
    dataset = listed(folder, pipeline=[dict(type='SampleClip', clip_len=4, frame_interval=3)])
    for index in (ClipIndex(0, 0), ClipIndex(1, 5)):
        sample = dataset[index]
        assert [read_frame_number(f) for f in sample['clip']] == sample['frame_inds'].tolist()


def test_fingerprint_tells_lists_apart_but_not_folders(folder):
    before = listed(folder).fingerprint()
    assert list(before) == ['videos'] and before['videos'].startswith('2 ')
    (folder / 'videos').rename(folder / 'moved')
    assert listed(folder, data_prefix=dict(video='moved')).fingerprint() == before
    assert listed(folder, data_prefix=dict(video='moved'), indices=1).fingerprint() != before
    (folder / 'list.txt').write_text('b.mp4 2\nin/a.mp4 7\n')
    assert listed(folder, data_prefix=dict(video='moved')).fingerprint() != before


def test_indices(folder):
    assert [s['label'] for s in map(listed(folder, indices=[1]).get_data_info, range(1))] == [2]
    assert len(listed(folder, indices=1)) == 1


@pytest.mark.parametrize('index', [2, -3])
def test_index_outside(folder, index):
    with pytest.raises(IndexError, match='2 samples'):
        listed(folder)[index]


def test_impossible_settings():
    with pytest.raises(ValueError, match='ann_file.*videos'):
        VideoListDataset()
    with pytest.raises(ValueError, match=r'data_prefix .*video='):
        VideoListDataset(data_root='a', data_prefix=dict(img='b'))
    with pytest.raises(FileNotFoundError, match='no such folder: nowhere'):
        VideoListDataset(data_root='nowhere')


def test_lazy_init_leaves_the_list_alone(tmp_path):
    dataset = VideoListDataset(ann_file=str(tmp_path / 'gone.txt'), lazy_init=True)
    with pytest.raises(FileNotFoundError):
        len(dataset)
