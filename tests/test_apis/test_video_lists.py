from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from mmvidssl.apis import list_videos
from mmvidssl.data_checks import read_class_file
from mmvidssl.datasets import VideoListDataset, read_file_list


def fill(folder, **classes):
    for name, count in classes.items():
        (folder / name / 'deep').mkdir(parents=True)
        for number in range(count):
            (folder / name / ('deep' if number == 0 else '') / f'{number}.mp4').touch()
    return folder


def test_lists(tmp_path):
    fill(tmp_path / 'videos', walk=10, run=5, sit=2)
    found = list_videos(tmp_path / 'videos', tmp_path / 'lists')
    assert found == (['run', 'sit', 'walk'], 13, 4)
    assert (tmp_path / 'lists' / 'classes.txt').read_text() == 'run\nsit\nwalk\n'
    train, val = (read_file_list(tmp_path / 'lists' / f'{name}.txt') for name in ('train', 'val'))
    assert [sum(file.label == label for file in val) for label in range(3)] == [1, 1, 2]
    assert len({file.path for file in train + val}) == 17
    assert all(found.classes[file.label] == file.path.split('/')[0] for file in train + val)
    assert 'walk/deep/0.mp4' in {file.path for file in train + val}


def test_the_data_set_reads_them(tmp_path):
    fill(tmp_path, a=4, b=4)
    list_videos(tmp_path, tmp_path)
    dataset = VideoListDataset(ann_file='train.txt', data_root=str(tmp_path))
    assert len(dataset) == 6
    assert dataset.get_data_info(5)['label'] == 1


def test_what_may_be_left_out_or_twice_is_said(tmp_path, monkeypatch):
    warned = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', warned.append)
    fill(tmp_path / 'videos', a=3, b=3)
    assert list_videos(tmp_path / 'videos', tmp_path)[1:] == (4, 2) and not warned
    for name in ('a/1.m2ts', 'b/2.WebM', 'b/3.dav'):
        (tmp_path / 'videos' / name).touch()
    assert list_videos(tmp_path / 'videos', tmp_path)[1:] == (6, 2)
    unknown, twins = warned
    assert '1 .dav (b/3.dav)' in unknown
    assert '4 videos' in twins and 'a/1.m2ts, a/1.mp4, b/2.WebM and 1 more' in twins


def test_the_split_follows_the_seed(tmp_path):
    fill(tmp_path / 'videos', a=20, b=20)

    def val(seed):
        list_videos(tmp_path / 'videos', tmp_path, val_share=0.5, seed=seed)
        return (tmp_path / 'val.txt').read_text()

    assert val(0) == val(0) != val(1)


def test_without_validation(tmp_path):
    fill(tmp_path / 'videos', a=1, b=3)
    (tmp_path / 'val.txt').write_text('a/0.mp4 0')
    assert list_videos(tmp_path / 'videos', tmp_path, val_share=0).num_train == 4
    assert not (tmp_path / 'val.txt').exists()


@pytest.mark.parametrize(
    'settings, classes, reason',
    [
        (dict(val_share=1), dict(a=2), 'val_share must be in'),
        (dict(), dict(a=2, b=0, c=0), r'2 sub-folders .*\(b, c\)'),
        (dict(), dict(a=2, b=1), r'1 classes have one video \(b\)'),
        (dict(), {'play\nball': 2}, r'2 paths hold a line break'),
        (dict(), {}, 'no file in .* ends in one of'),
    ],
)
def test_impossible(tmp_path, settings, classes, reason):
    fill(tmp_path / 'videos', **classes).mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=reason):
        list_videos(tmp_path / 'videos', tmp_path / 'lists', **settings)
    assert not (tmp_path / 'lists').exists()


def test_videos_outside_of_the_classes(tmp_path):
    fill(tmp_path, a=2)
    (tmp_path / 'lost.mp4').touch()
    with pytest.raises(ValueError, match=r'1 videos .*lost\.mp4'):
        list_videos(tmp_path, tmp_path / 'lists')


NAMES = ["it's", 'play, ball', 'a; "b"', ' first 1', 'schön 日本', 'two\u2028parts', '5', "'q'"]


def test_any_name_comes_back(tmp_path):
    """Also where a program of Windows has saved the lists anew."""
    fill(tmp_path / 'videos', **dict.fromkeys(NAMES, 2))
    classes, *_ = list_videos(tmp_path / 'videos', tmp_path, val_share=0.5)
    assert classes == sorted(NAMES)
    for name in ('train.txt', 'val.txt', 'classes.txt'):
        text = (tmp_path / name).read_text(encoding='utf-8')
        (tmp_path / name).write_text(text, encoding='utf-8-sig', newline='\r\n')
    assert read_class_file(tmp_path / 'classes.txt') == [name.strip() for name in classes]
    for part in ('train', 'val'):
        dataset = VideoListDataset(f'{part}.txt', str(tmp_path), dict(video='videos'))
        infos = [dataset.get_data_info(index) for index in range(len(NAMES))]
        folders = [
            Path(info['filename']).relative_to(tmp_path / 'videos').parts[0] for info in infos
        ]
        assert folders == [classes[info['label']] for info in infos] == classes


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone'):
        list_videos(tmp_path / 'gone', tmp_path)
