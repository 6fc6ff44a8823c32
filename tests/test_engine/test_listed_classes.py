"""Names of classes against lists of videos."""

import pytest

from mmvidssl.engine.listed_classes import check_listed_classes
from mmvidssl.utils.class_file import read_class_file

PLACE = 'train_dataloader.dataset (VideoDataset)'
ANIMALS = ['cat', 'dog', 'old owl']


def check(folder, classes, samples, **options):
    check_listed_classes(PLACE, classes, str(folder / 'train.txt'), samples, **options)


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
    message = (
        rf'names the classes {", ".join(classes)}, but .*classes.txt, .* has cat, dog, old owl. '
        'Set metainfo.classes .* to cat,dog,old owl, in this order'
    )
    for is_training in (True, False):
        with pytest.raises(ValueError, match=message):
            check(tmp_path, classes, [('a.mp4', 0)], is_training=is_training)


def test_classes_without_a_video(tmp_path):
    samples = [('a.mp4', 0), ('b.mp4', 2)]
    message = r'names 3 classes, but .*train.txt has no video of 1 of them: dog \(1\). Add videos'
    with pytest.raises(ValueError, match=message):
        check(tmp_path, ANIMALS, samples)
    check(tmp_path, ANIMALS, samples, is_training=False)


@pytest.mark.parametrize('label', [3, -1])
def test_labels_without_a_class(tmp_path, label):
    samples = [*listed(('cat', 0), ('dog', 1), ('old owl', 2)), ('new.mp4', label)]
    message = rf'has the labels {label}, but the 3 classes cat, dog, old owl are numbered 0 to 2'
    with pytest.raises(ValueError, match=message):
        check(tmp_path, ANIMALS, samples)


def test_order_of_folders(tmp_path):
    samples = listed(('cat', 1), ('dog', 0), ('old owl', 2))
    message = r'has the label 0 for videos in dog/, 1 for videos in cat/, but the classes are named'
    with pytest.raises(ValueError, match=message):
        check(tmp_path, ANIMALS, samples)


def test_folders_that_are_no_classes(tmp_path):
    """A folder of several classes, a class of several folders, and other names."""
    classes = ['train', 'plane']  # vehicles
    check(tmp_path, classes, [('train/a.mp4', 0), ('train/b.mp4', 1)])
    check(tmp_path, classes, [('train/a.mp4', 1), ('plane/b.mp4', 1), ('plane/c.mp4', 0)])
    check(tmp_path, classes, [('rails/a.mp4', 0), ('train/b.mp4', 1)])
