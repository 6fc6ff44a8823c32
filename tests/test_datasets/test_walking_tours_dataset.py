import shutil

import pytest

from mmvidssl.datasets import WalkingToursDataset
from mmvidssl.datasets.readers import UndecodableVideoError, VideoNotFoundError

NAMES = [
    'amsterdam.mp4', 'Bangkok.mp4', 'chiang-mai.mp4', 'ISTANBUL.mkv', 'Kuala_Lumpur.mp4',
    'singapore.webm', 'stockholm.mov', 'venice.mp4', 'Zurich.MP4', 'wildlife.mp4',
]  # fmt: skip


def fill(folder, short_video, names):
    for name in names:
        shutil.copy(short_video, folder / name)
    return str(folder)


def test_knows_the_ten_videos(short_video, tmp_path):
    (tmp_path / 'notes.txt').write_text('not a video')
    dataset = WalkingToursDataset(fill(tmp_path, short_video, NAMES), ['all'], clip_len=3)
    assert len(dataset.metainfo['cities']) == 10
    assert WalkingToursDataset(str(tmp_path), lazy_init=True).cities == dataset.cities
    assert len(dataset) == 10 * 20
    found = [dataset.get_data_info(20 * i)['video_path'] for i in range(10)]
    assert found == [str(tmp_path / name) for name in NAMES]


def test_takes_the_chosen_ones_in_order(short_video, tmp_path):
    root = fill(tmp_path, short_video, ['venice.mp4', 'Kuala Lumpur.mp4'])
    dataset = WalkingToursDataset(root, cities=['kuala_lumpur', 'Venice'], clip_len=3)
    paths = [dataset.get_data_info(i)['video_path'] for i in (0, 20)]
    assert paths == [str(tmp_path / 'Kuala Lumpur.mp4'), str(tmp_path / 'venice.mp4')]


def test_one_city_may_be_a_string(short_video, tmp_path):
    root = fill(tmp_path, short_video, ['venice.mp4'])
    assert len(WalkingToursDataset(root, cities='venice', clip_len=3)) == 20


def test_says_what_is_missing_and_what_is_there(short_video, tmp_path):
    root = fill(tmp_path, short_video, ['venice.mp4', 'zürich.mp4'])
    with pytest.raises(VideoNotFoundError, match=r"\['Zurich'\].*zürich\.mp4"):
        WalkingToursDataset(root, cities=['venice', 'zurich'])


def test_missing_folder(tmp_path):
    with pytest.raises(VideoNotFoundError, match='nowhere'):
        WalkingToursDataset(str(tmp_path / 'nowhere'))


def test_refuses_to_choose_between_two_files(short_video, tmp_path):
    root = fill(tmp_path, short_video, ['venice.mp4', 'Venice.mkv'])
    with pytest.raises(ValueError, match=r'several videos of Venice'):
        WalkingToursDataset(root, cities='venice')


def test_broken_files_are_skipped_but_not_cities(short_video, tmp_path, warned):
    root = fill(tmp_path, short_video, ['venice.mp4'])
    for name in ('bangkok.mp4', 'zurich.mp4'):
        (tmp_path / name).write_text('no video')
    cities = ['bangkok', 'venice', 'zurich']
    with pytest.raises(UndecodableVideoError, match=r'bangkok\.mp4[^$]*zurich\.mp4'):
        WalkingToursDataset(root, cities, clip_len=3)
    dataset = WalkingToursDataset(root, cities, clip_len=3, on_bad='skip')
    assert len(dataset) == 20 and dataset[0]['video_path'] == str(tmp_path / 'venice.mp4')
    assert 'bangkok.mp4' in warned[0] and 'zurich.mp4' in warned[0]
    with pytest.raises(VideoNotFoundError, match='Wildlife'):
        WalkingToursDataset(root, 'all', clip_len=3, on_bad='skip')


def test_takes_no_list_of_files(tmp_path):
    with pytest.raises(TypeError, match='LongVideoDataset'):
        WalkingToursDataset(str(tmp_path), videos=['a.mp4'])


@pytest.mark.parametrize('cities', [['rome'], 'rome', []])
def test_unknown_city(tmp_path, cities):
    with pytest.raises(ValueError, match='Amsterdam'):
        WalkingToursDataset(str(tmp_path), cities=cities)
