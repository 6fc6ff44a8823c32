"""Mistakes in lists of videos and folders of pictures, and names of classes against them."""

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from torch import nn

from mmvidssl.apis import list_videos
from mmvidssl.data_checks import read_class_file, refuse
from mmvidssl.data_checks.classification import check_labels
from mmvidssl.data_checks.subject import Subject
from mmvidssl.registry import MODELS
from tests.test_data_checks.utils import ERROR, RED, WARNING, assert_found, broken, config, found_in
from tests.test_downstream.utils_dense import write_image
from tests.utils_video import write_video

PLACE = 'train_dataloader.dataset (VideoDataset)'
ANIMALS = ['cat', 'dog', 'old owl']


def check(folder, classes, samples, is_training=True):
    lines = [f'{path};{label}' for path, label in samples]
    (folder / 'train.txt').write_text('\n'.join(lines))
    dataset = DATASETS.build(
        dict(
            type='mmaction.VideoDataset',
            ann_file=str(folder / 'train.txt'),
            data_prefix=dict(video=str(folder)),
            metainfo=dict(classes=classes),
            delimiter=';',
            pipeline=[],
            test_mode=not is_training,
        )
    )
    part = 'train' if is_training else 'test'
    subject = Subject(dataset, f'{part}_dataloader.dataset', nn.Identity(), 1)
    refuse(PLACE, check_labels(subject), pytest.fail)


def listed(*pairs):
    """Two videos of each."""
    return [(f'{name}/{index}.mp4', label) for name, label in pairs for index in range(2)]


def test_lists_that_fit(tmp_path):
    samples = listed(('cat', 0), ('dog', 1), ('old owl', 2))
    check(tmp_path, ANIMALS, samples)
    (tmp_path / 'classes.txt').write_text('cat\ndog\nold owl\n\n')
    assert read_class_file(tmp_path / 'classes.txt') == ANIMALS
    check(tmp_path, ANIMALS, samples)
    check(tmp_path, ANIMALS, [('a.mp4', 2), ('deep/b.mp4', -1)], is_training=False)


@pytest.mark.parametrize(
    'classes',
    [['dog', 'cat', 'old owl'], ['cat', 'dog'], [*ANIMALS, 'fish'], ['cat', 'dog', 'owl']],
)
def test_names_of_the_file_beside_the_list(tmp_path, classes):
    (tmp_path / 'classes.txt').write_text('cat\ndog\nold owl\n')
    for is_training in (True, False):
        with pytest.raises(ValueError, match='classes.txt.* cat, dog, old owl'):
            check(tmp_path, classes, [('a.mp4', 0)], is_training=is_training)


def test_classes_without_a_video(tmp_path):
    samples = [('a.mp4', 0), ('b.mp4', 2)]
    with pytest.raises(ValueError, match=r'train.txt: dog \(1\)'):
        check(tmp_path, ANIMALS, samples)
    check(tmp_path, ANIMALS, samples, is_training=False)


def test_order_of_folders(tmp_path):
    samples = listed(('cat', 1), ('dog', 0), ('old owl', 2))
    with pytest.raises(ValueError, match='0 for .*dog/, 1 for .*cat/'):
        check(tmp_path, ANIMALS, samples)


def test_folders_that_are_no_classes(tmp_path):
    """A folder of several classes, a class of several folders, and other names."""
    classes = ['train', 'plane']  # vehicles
    check(tmp_path, classes, [('train/a.mp4', 0), ('train/b.mp4', 1)])
    check(tmp_path, classes, [('train/a.mp4', 1), ('plane/b.mp4', 1), ('plane/c.mp4', 0)])
    check(tmp_path, classes, [('rails/a.mp4', 0), ('train/b.mp4', 1)])
    with pytest.raises(ValueError, match='0 to 5'):
        check(tmp_path, classes, [('train/a.mp4', 0), ('plane/b.mp4', 5)], is_training=False)


class Videos:
    """Two videos each of two classes, listed."""

    def __init__(self, folder):
        self.folder = folder
        for name in ('cat', 'dog'):
            (folder / name).mkdir()
            for index in range(2):
                write_video(folder / name / f'{index}.mp4', num_frames=4, size=(96, 128))
        list_videos(folder, folder, val_share=0.5)
        cfg = config('kinetics', 'mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400')
        for part in ('train', 'val'):
            cfg[f'{part}_dataloader'].dataset.update(
                ann_file=str(folder / f'{part}.txt'),
                data_prefix=dict(video=str(folder)),
                metainfo=dict(classes=['cat', 'dog']),
            )
        self.cfg = cfg

    def change(self, change, part='train'):
        path = self.folder / f'{part}.txt'
        path.write_text('\n'.join(change(path.read_text().splitlines())))

    def found(self, part='train', num_classes=2):
        init_default_scope('mmaction')
        head = MODELS.build(dict(type='mmaction.TSNHead', num_classes=num_classes, in_channels=4))
        return found_in(self.cfg, nn.ModuleDict(dict(cls_head=head)), part)


@pytest.fixture
def videos(tmp_path):
    return Videos(tmp_path)


def test_right_videos(videos):
    assert videos.found() == videos.found('val') == []


@pytest.mark.parametrize('share', [0, 0.3])
def test_videos_that_cannot_be_opened(videos, share):
    name = (videos.folder / 'train.txt').read_text().splitlines()[0].split()[0]
    broken(videos.folder / name, share)
    assert_found(videos.found(), ERROR, name)


LISTS = {
    'labels from 1': (lambda lines: [f'{x[:-1]}{int(x[-1]) + 1}' for x in lines], 'from 1 to 2'),
    'a label without a class': (lambda lines: [*lines[:-1], f'{lines[-1][:-1]}7'], 'to 7'),
    'a class without a video': (lambda lines: lines[:1], 'train.txt'),
    'labels exchanged': (lambda lines: [f'{x[:-1]}{1 - int(x[-1])}' for x in lines], '0 for'),
    'a line without a label': (lambda lines: [lines[0][:-2], *lines[1:]], 'from -1 to 1'),
    'no labels': (lambda lines: [line[:-2] for line in lines], 'train.txt'),
}


@pytest.mark.parametrize('change, name', LISTS.values(), ids=LISTS)
def test_lists(videos, change, name):
    """mmaction2#2659 numbers from 1."""
    videos.change(change)
    assert_found(videos.found(), ERROR, name)


def test_validation_without_labels(videos):
    videos.change(lambda lines: [line[:-2] for line in lines], 'val')
    assert_found(videos.found('val'), ERROR, 'val.txt')


def test_names_with_spaces(videos):
    """mmaction2#2659: 'drinking (31).mp4 1'."""
    (videos.folder / 'cat').rename(videos.folder / 'a cat')
    videos.change(lambda lines: [line.replace('cat', 'a cat') for line in lines])
    assert videos.found() == []


def test_one_class_of_videos(videos):
    videos.change(lambda lines: [line for line in lines if 'cat' in line])
    (videos.folder / 'classes.txt').write_text('cat')
    videos.cfg.train_dataloader.dataset.metainfo.classes = ['cat']
    assert_found(videos.found(num_classes=1), ERROR, 'model.cls_head')


def pictures(folder, num_classes=2, **options):
    """Findings of two folders of pictures."""
    for name in ('cat', 'dog'):
        write_image(folder / name / '0.png', RED)
    init_default_scope('mmpretrain')
    options = dict(dict(type='CustomDataset', pipeline=[]), data_root=str(folder), **options)
    head = MODELS.build(
        dict(type='mmpretrain.LinearClsHead', num_classes=num_classes, in_channels=4)
    )
    cfg = Config(dict(default_scope='mmpretrain', train_dataloader=dict(dataset=options)))
    return found_in(cfg, nn.ModuleDict(dict(head=head)))


def test_right_folders_of_pictures(tmp_path):
    assert pictures(tmp_path) == []
    assert pictures(tmp_path, metainfo=dict(classes=['cat', 'dog'])) == []
    assert pictures(tmp_path, metainfo=dict(classes=['kitten', 'puppy'])) == []


def test_two_folders_are_not_imagenet(tmp_path):
    """mmpretrain#819: its ImageNet refuses them by itself, and our configs name no thousand."""
    with pytest.raises(AssertionError, match=r'\(2\) .*\(1000\)'):
        pictures(tmp_path, type='ImageNet')


def test_order_of_folders_of_pictures(tmp_path):
    """mmpretrain compares how many there are."""
    assert_found(pictures(tmp_path, metainfo=dict(classes=['dog', 'cat'])), ERROR, 'cat, dog')


def test_folder_without_a_picture(tmp_path):
    write_image(tmp_path / 'eel/0.webp', RED)
    assert_found(pictures(tmp_path, 3), ERROR, 'eel (2)')


def test_some_of_the_classes_of_imagenet(tmp_path):
    """May be meant: their names are the data set's own."""
    (tmp_path / 'train.txt').write_text('cat/0.png 3\ndog/0.png 7')
    options = dict(type='ImageNet', ann_file='train.txt')
    assert_found(pictures(tmp_path, 1000, **options), WARNING, 'train.txt')


def test_pictures_of_another_suffix(tmp_path):
    write_image(tmp_path / 'cat/1.webp', RED)
    assert_found(pictures(tmp_path), WARNING, 'cat/1.webp')


def test_broken_picture_in_a_folder(tmp_path):
    pictures(tmp_path)
    write_image(tmp_path / 'cat/1.png', RED)
    broken(tmp_path / 'cat/1.png', 0.9)
    assert_found(pictures(tmp_path), ERROR, 'cat/1.png')
