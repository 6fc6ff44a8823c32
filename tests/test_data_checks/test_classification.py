"""Names of classes against lists of videos."""

import pytest
from mmengine.registry import DATASETS
from torch import nn

from mmvidssl.data_checks import read_class_file, refuse
from mmvidssl.data_checks.classification import check_labels
from mmvidssl.data_checks.subject import Subject

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
